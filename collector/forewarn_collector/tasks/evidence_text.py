"""A task's evidence as plain text, the same on the page, in the terminal and in a ticket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_SAMPLES = 8
_SERIES = 5
_EVENTS = 10


def evidence_lines(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of documents of evidence as `forewarn_collector.tasks.evidence` makes them.

    The newest samples of each series and the newest events come first in what is shown.
    """
    for document in documents:
        yield f"{_stamp(document['gathered_at'])} value {document['value']}"
        shown: set[str] = set()
        for asked in (*document.get("inputs", ()), *document.get("queries", ())):
            for series in asked["series"][:_SERIES]:
                name = _name(series["labels"]) or asked["query"]
                if name in shown or not series["samples"]:
                    continue
                shown.add(name)
                yield f"  {name}"
                points = series["samples"][-_SAMPLES:]
                yield "    " + "   ".join(f"{_clock(at)} {value}" for at, value in points)
        for event in document.get("events", ())[:_EVENTS]:
            yield f"  {_clock(event['time'])} {event['severity']} {event['type']}: {event['body']}"
        for note in document.get("notes", ()):
            yield f"  ({note})"


def _name(labels: Mapping[str, str]) -> str:
    metric = labels.get("__name__", "")
    pairs = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{metric}{{{pairs}}}" if pairs else metric


def _stamp(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _clock(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%H:%M:%S}"
