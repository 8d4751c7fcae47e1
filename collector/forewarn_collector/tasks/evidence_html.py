"""A task's evidence as a fragment of HTML, for the page and for e-mail: no style, no script.

All that it shows was sent by somebody, and is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from forewarn_collector.plots.ticks import time_text
from forewarn_collector.tasks.evidence_plot import suspicion
from forewarn_collector.tasks.evidence_text import (
    SUSPICION,
    condition,
    earlier_end,
    process_uses,
    series_of,
    spread,
)

Document = Mapping[str, Any]

_SAMPLES = 5
_SERIES = 10
_EVENTS = 20


def evidence_html(documents: Sequence[Document], tasks_url: str | None = None) -> Markup:
    """A section for each document; numbers of tasks lead to `tasks_url` and the number."""
    return Markup("\n").join(
        _section(_after(each) if "follows" in each else _parts(each, tasks_url))
        for each in documents
    )


def _section(parts: Iterable[Markup]) -> Markup:
    return Markup('<section class="evidence">\n{}\n</section>').format(
        Markup("\n").join(part for part in parts if part)
    )


def _parts(document: Document, tasks_url: str | None) -> Iterable[Markup]:
    when = time_text(document["gathered_at"])
    value = f": value {document['value']}" if document["value"] else ""
    yield Markup("<h3>{} UTC{}</h3>").format(when, value)
    if document.get("onset") is not None:
        yield Markup("<p>Onset {} UTC</p>").format(time_text(document["onset"]))
    yield _values(document)
    yield _table(
        "Series", [(name, _last(samples)) for name, samples in series_of(document, _SERIES)]
    )
    changes = document.get("changes", ())
    yield _table(
        SUSPICION[0].upper() + SUSPICION[1:],
        [(time_text(c["at"], "%H:%M:%S"), suspicion(c), c["what"]) for c in changes],
    )
    events = document.get("events", ())[:_EVENTS]
    yield _table(
        "Events",
        [(time_text(e["time"], "%H:%M:%S"), e["severity"], e["type"], e["body"]) for e in events],
    )
    yield _table("Processes at the onset", list(process_uses(document)))
    yield _table(
        "Earlier tasks",
        [
            (_number(e["number"], tasks_url), earlier_end(e), e["text"], e["comment"])
            for e in document.get("earlier", ())
        ],
    )
    yield _notes(document)


def _after(document: Document) -> Iterable[Markup]:
    yield Markup("<h3>{} UTC, and what came after</h3>").format(time_text(document["follows"]))
    yield _values(document)
    yield _notes(document)


def _values(document: Document) -> Markup:
    values = document.get("values")
    if values is None or not values["samples"]:
        return Markup()
    return _table(
        "What the rule measures",
        [(f"{values['query']}{condition(values)}", _last(spread(values)))],
    )


def _last(samples: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{time_text(at, '%H:%M:%S')} {value}" for at, value in samples[-_SAMPLES:])


def _table(title: str, rows: Sequence[Sequence[str]]) -> Markup:
    if not rows:
        return Markup()
    cells = (Markup("").join(Markup("<td>{}</td>").format(each) for each in row) for row in rows)
    lines = Markup("\n").join(Markup("<tr>{}</tr>").format(row) for row in cells)
    return Markup("<h4>{}</h4>\n<table>\n{}\n</table>").format(title, lines)


def _notes(document: Document) -> Markup:
    return Markup("\n").join(
        Markup('<p class="quiet">{}</p>').format(note) for note in document.get("notes", ())
    )


def _number(number: str, tasks_url: str | None) -> str:
    if tasks_url is None:
        return number
    return Markup('<a href="{}">{}</a>').format(tasks_url + number, number)
