"""What a task's evidence looks like as a plot: what its rule measures, around the onset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from forewarn_collector.plots import Band, Line, Mark, Plot
from forewarn_wire.durations import format_duration

Document = Mapping[str, Any]

_SHORTEST = 60_000
"""The least time (ms) that a plot shows."""


def evidence_plot(title: str, documents: Sequence[Document]) -> Plot | None:
    """A plot of the newest alert's evidence, and of others' that is of the same time and rule.

    Without values of the rule's expression it shows the first of its inputs; None where there is
    nothing of that either.
    """
    firsts = [_whole(document, documents) for document in documents if "follows" not in document]
    shown = [document for document in firsts if _is_shown(document)]
    if not shown:
        return None
    newest = max(shown, key=lambda document: int(document["gathered_at"]))
    subject = _subject(newest)
    alike = [each for each in shown if _subject(each) == subject and _overlap(each, newest)]
    lines = [line for each in alike for line in _lines(each, _after(each, documents))]
    times = [at for line in lines for at, _ in line.points]
    fired = newest["gathered_at"]
    end = max([*times, fired])
    return Plot(
        title=title,
        start=min([*times, newest.get("onset", fired), end - _SHORTEST]),
        end=end,
        lines=lines,
        marks=_marks(newest),
        threshold=_threshold(newest),
        bands=_waited(newest),
    )


def _whole(document: Document, documents: Sequence[Document]) -> Document:
    """The document, with the values that were owed where its follow-up has brought them."""
    values = _after(document, documents).get("values")
    if "owed" in document and values and values["samples"]:
        return {**document, "values": values}
    return document


def _is_shown(document: Document) -> bool:
    return bool(document.get("values") or _input(document))


def _subject(document: Document) -> str:
    """What is measured; only that goes on one axis."""
    values = document.get("values")
    return str(values["query"] if values else _input(document)["query"])


def _input(document: Document) -> Document:
    found = (
        each for each in document.get("inputs", ()) if any(s["samples"] for s in each["series"])
    )
    return next(found, {})


def _after(document: Document, documents: Sequence[Document]) -> Document:
    for each in documents:
        if each.get("follows") == document["gathered_at"] and each["alert"] == document["alert"]:
            return each
    return {}


def _lines(document: Document, after: Document) -> list[Line]:
    values = document.get("values")
    if not values:
        asked = _input(document)
        series = [each for each in asked["series"] if each["samples"]]
        return [_line(_name(each["labels"]) or asked["query"], each["samples"]) for each in series]
    # Of what was owed the follow-up has all.
    later = [] if "owed" in document else after.get("values", {}).get("samples", [])
    name = _name(values["labels"])
    query = values["query"]
    line = _line(f"{query} of {name}" if name else query, [*values["samples"], *later])
    steps = max(values["step"], after.get("values", {}).get("step", 0))
    return [Line(line.name, line.points, 2 * steps)]


def _line(name: str, samples: Sequence[Sequence[Any]]) -> Line:
    points = [(int(at), _number(value)) for at, value in samples]
    pauses = sorted(b[0] - a[0] for a, b in pairwise(points))
    usual = pauses[len(pauses) // 2] if pauses else 0
    return Line(name, points, 5 * usual)


def _marks(document: Document) -> list[Mark]:
    names = (("onset", "onset"), ("detected", "detected"), ("gathered_at", "fired"))
    found = [Mark(document[key], name) for key, name in names if key in document]
    found += [
        Mark(each["at"], f"{suspicion(each)}: {each['what']}", suspect=True)
        for each in document.get("changes", ())
    ]
    return found


def suspicion(change: Document) -> str:
    """How a change is spoken of: it need not be the cause."""
    before = int(change["before"])
    return f"suspected, {format_duration(before // 1000 * 1000)} before onset"


def _threshold(document: Document) -> tuple[float, str] | None:
    values = document.get("values")
    if not values or values["threshold"] is None:
        return None
    held = f" for {format_duration(values['for'])}" if values["for"] else ""
    name = f"{values['operator']} {values['threshold']}{held}"
    return float(values["threshold"]), name


def _waited(document: Document) -> list[Band]:
    """The time for which the condition must hold before the rule fires."""
    values = document.get("values")
    if not values or not values["for"] or "detected" not in document:
        return []
    start = int(document["detected"])
    name = f"must hold for {format_duration(values['for'])}"
    return [Band(start, start + int(values["for"]), name)]


def _overlap(one: Document, other: Document) -> bool:
    spans = [_span(each) for each in (one, other)]
    return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]


def _span(document: Document) -> tuple[int, int]:
    values = document.get("values")
    series = [values] if values else _input(document)["series"]
    times = [at for each in series for at, _ in each["samples"]]
    return min(times), max([*times, document["gathered_at"]])


def _name(labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")
    metric = labels.get("__name__", "")
    return f"{metric} {pairs}".strip()


def _number(value: str) -> float:
    return float("nan") if value == "stale" else float(value)
