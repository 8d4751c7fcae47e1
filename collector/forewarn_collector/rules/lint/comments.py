"""Comments in rule files that turn lints off: `# forewarn: disable NAME, ...`.

One within a rule, or in the lines of comment right above it, holds for that rule; any other for
the whole file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from forewarn_collector.rules.load import LoadedFile
from forewarn_wire import Problem

_COMMENT = re.compile(r"#\s*forewarn:\s*disable\b[ \t]*(?P<names>[^#\n]*)")
# Every character at which YAML begins a new line.
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_SEPARATOR = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Disabled:
    """What comments turn off: in the whole file, and by rule, in the order of the file."""

    everywhere: frozenset[str]
    by_rule: Sequence[frozenset[str]]


def disabled(file: LoadedFile) -> Disabled:
    """What the comments of a file turn off."""
    lines = _LINE_BREAK.split(file.source)
    ranges = _ranges(file, lines)
    everywhere: set[str] = set()
    by_rule: list[set[str]] = [set() for _ in ranges]
    for line, _, name in _named(lines):
        position = next((place for place, span in enumerate(ranges) if line in span), None)
        (everywhere if position is None else by_rule[position]).add(name)
    return Disabled(frozenset(everywhere), [frozenset(each) for each in by_rule])


def unknown_names(file: LoadedFile, known: Collection[str]) -> Iterator[Problem]:
    """The names in comments that no lint has."""
    for line, column, name in _named(_LINE_BREAK.split(file.source)):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            yield Problem(str(file.path), line + 1, column + 1, f"there is no lint {name}", hint)


def _named(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Line and column, from 0, of each name in a comment."""
    for number, line in enumerate(lines):
        found = _COMMENT.search(line)
        if found is None:
            continue
        column = found.start("names")
        for name in _SEPARATOR.split(found["names"].rstrip()):
            if name:
                yield number, line.index(name, column), name


def _ranges(file: LoadedFile, lines: Sequence[str]) -> list[range]:
    """The lines, from 0, that belong to each rule."""
    found = []
    for written in file.written:
        section = written.reader.section
        first = section.place()[0] - 1
        end, column = section.end()
        if not lines[end - 1][: column - 1].strip(" -"):
            end -= 1
        while first and lines[first - 1].lstrip().startswith("#"):
            first -= 1
        # YAML counts what stands before the next item as part of this one.
        while end > first and not _says_something(lines, end - 1):
            end -= 1
        found.append(range(first, end))
    return found


def _says_something(lines: Sequence[str], number: int) -> bool:
    text = lines[number].strip() if number < len(lines) else ""
    return bool(text) and not text.startswith("#")
