"""A task's evidence as plain text, the same on the page, in the terminal and in a ticket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forewarn_collector.plots.ticks import number_text, time_text
from forewarn_collector.tasks.evidence_plot import suspicion
from forewarn_wire.durations import format_duration

Document = Mapping[str, Any]

SUSPICION = "changed before the onset (suspicions: none need be the cause)"

_SAMPLES = 8
_SERIES = 5
_EVENTS = 10


def evidence_lines(documents: Sequence[Document]) -> Iterator[str]:
    """The lines of documents of evidence as `forewarn_collector.tasks.evidence` makes them.

    The newest samples of each series and the newest events come first in what is shown.
    """
    for document in documents:
        lines = _after(document) if "follows" in document else _document(document)
        # Control characters of what was sent would speak to a terminal.
        yield from ("".join(c if c.isprintable() else " " for c in line) for line in lines)


def _document(document: Document) -> Iterator[str]:
    onset = document.get("onset")
    value = f" value {document['value']}" if document["value"] else ""
    since = f", onset {time_text(onset)} UTC" if onset is not None else ""
    yield f"{time_text(document['gathered_at'])} UTC{value}{since}"
    yield from _values(document.get("values"))
    for name, samples in series_of(document, _SERIES):
        yield f"  {name}"
        yield _points(samples)
    for event in document.get("events", ())[:_EVENTS]:
        yield f"  {_clock(event['time'])} {event['severity']} {event['type']}: {event['body']}"
    if document.get("changes"):
        yield f"  {SUSPICION}:"
        yield from (f"    {suspicion(each)}: {each['what']}" for each in document["changes"])
    for use, told in process_uses(document):
        yield f"  {use}: {told}"
    for earlier in document.get("earlier", ()):
        yield f"  earlier: {earlier['number']} {earlier_end(earlier)}"
        yield from (f"    {earlier[said]}" for said in ("text", "comment") if earlier[said])
    yield from _notes(document)


def _after(document: Document) -> Iterator[str]:
    yield f"{time_text(document['follows'])} UTC, and what came after"
    yield from _values(document.get("values"))
    yield from _notes(document)


def _values(values: Document | None) -> Iterator[str]:
    if values is not None and values["samples"]:
        yield f"  {values['query']}{condition(values)}"
        yield _points(spread(values))


def spread(values: Document) -> list[Sequence[Any]]:
    """Its newest two samples, and of those before them no two closer than its step."""
    kept: list[Sequence[Any]] = []
    for sample in reversed(values["samples"]):
        if len(kept) < 2 or kept[-1][0] - sample[0] >= values["step"]:
            kept.append(sample)
    return kept[::-1]


def condition(values: Document) -> str:
    """What its values are held against; empty where that is no constant."""
    if values["threshold"] is None:
        return ""
    held = f", for {format_duration(values['for'])}" if values["for"] else ""
    return f" (fires at {values['operator']} {values['threshold']}{held})"


def process_uses(document: Document) -> Iterator[tuple[str, str]]:
    """The processes that used most at the onset: what of, and which."""
    found = document.get("processes", {})
    for use, unit, name in (("cpu", " cores", "most CPU"), ("memory", "B", "most memory")):
        if found.get(use):
            told = (f"{group} {number_text(float(value))}{unit}" for group, value in found[use])
            yield name, ", ".join(told)


def earlier_end(earlier: Document) -> str:
    """When an earlier task was, for how long, and why and by whom it ended."""
    kin = "the same problem" if earlier["same"] == "problem" else "the same rule on this host"
    ended = earlier["ended_at"]
    lasted = ""
    if ended is not None:
        seconds = max(0, ended - earlier["onset_at"]) // 1000
        lasted = f" for {format_duration(seconds * 1000)}"
    reason = earlier["reason"].replace("_", " ")
    by = f" by {earlier['by']}" if earlier["by"] else ""
    return f"({kin}), {time_text(earlier['onset_at'])} UTC{lasted}, {reason}{by}"


def series_of(document: Document, most: int) -> Iterator[tuple[str, Sequence[Sequence[Any]]]]:
    """The series that were read or asked for, each once, at most so many of each query."""
    shown: set[str] = set()
    for asked in (*document.get("inputs", ()), *document.get("queries", ())):
        for series in asked["series"][:most]:
            name = _series_name(series["labels"]) or asked["query"]
            if name not in shown and series["samples"]:
                shown.add(name)
                yield name, series["samples"]


def _series_name(labels: Mapping[str, str]) -> str:
    """A series as PromQL writes it."""
    metric = labels.get("__name__", "")
    pairs = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{metric}{{{pairs}}}" if pairs else metric


def _points(samples: Sequence[Sequence[Any]]) -> str:
    return "    " + "   ".join(f"{_clock(at)} {value}" for at, value in samples[-_SAMPLES:])


def _notes(document: Document) -> Iterator[str]:
    yield from (f"  ({note})" for note in document.get("notes", ()))


def _clock(at: int) -> str:
    return time_text(at, "%H:%M:%S")
