"""What the fields of an alertmanager.yml hold, and the notes on what is not taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from forewarn_collector.silencing.matchers import (
    Matcher,
    MatchKind,
    make_matcher,
    parse_matchers,
)
from forewarn_wire import Problem, is_label_name
from forewarn_wire.document import Section
from forewarn_wire.readers import text, texts

T = TypeVar("T")


class Notes:
    """Collects what of a file is not taken, each with its place and what happens instead."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._notes: list[Problem] = []

    def add(self, section: Section, name: str, what: str, instead: str) -> None:
        """A note on a field of a section."""
        self._notes.append(Problem(self._file, *section.place(name), what, instead))

    def sorted(self) -> tuple[Problem, ...]:
        """All notes in the order of the file."""
        return tuple(sorted(self._notes, key=lambda note: (note.line, note.column)))


def matchers_of(section: Section, equal: str, regexp: str, lines: str) -> tuple[Matcher, ...]:
    """The matchers of the two old notations and the new one, in Alertmanager's order."""
    none: tuple[Matcher, ...] = ()
    found = [
        *section.take(equal, _mapping(MatchKind.EQUAL), none),
        *section.take(regexp, _mapping(MatchKind.REGEXP), none),
        *section.take(lines, _lines, none),
    ]
    return tuple(sorted(found, key=lambda each: (each.name, each.value, each.kind.value)))


def read_labels(value: Any) -> tuple[str, ...]:
    """A list of labels' names. Raises ValueError."""
    names = texts(value)
    for name in names:
        if not is_label_name(name):
            raise ValueError(f"not a label's name: {name!r}")
    return names


def ranges(read: Callable[[str], T]) -> Callable[[Any], tuple[T, ...]]:
    """A reader of a list of ranges; a bare number is a range of one."""

    def of(value: Any) -> tuple[T, ...]:
        items = value if isinstance(value, list) else [value]
        return tuple(read(str(item) if type(item) is int else text(item)) for item in items)

    return of


def _mapping(kind: MatchKind) -> Callable[[Any], tuple[Matcher, ...]]:
    def read(value: Any) -> tuple[Matcher, ...]:
        if not isinstance(value, dict):
            raise ValueError(f"expected a mapping of labels to values, found {value!r}")
        found = []
        for name, given in value.items():
            if not isinstance(name, str) or not is_label_name(name):
                raise ValueError(f"not a label's name: {name!r}")
            found.append(make_matcher(name, kind, _scalar(given)))
        return tuple(found)

    return read


def _lines(value: Any) -> tuple[Matcher, ...]:
    if not isinstance(value, list):
        raise ValueError('expected a list of matchers such as severity="critical"')
    return tuple(matcher for line in value for matcher in parse_matchers(text(line)))


def _scalar(value: Any) -> str:
    # As Alertmanager's YAML reader does with a bare true or 1 where text is wanted.
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else text(value)
