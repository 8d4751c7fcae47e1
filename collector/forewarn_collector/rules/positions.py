"""Where in a YAML file a character of a scalar's text stands.

YAML folds lines, strips indentation and reads escapes; whitespace apart, the characters of the
text stand in the file in the same order. So the place is found by counting them.
"""

from __future__ import annotations

import re

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_ESCAPES = {"x": 4, "u": 6, "U": 10}
_BLANK_ESCAPES = frozenset("nrt \t\n\r_NLPvf")


def place_in_file(source: str, line: int, column: int, text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of `text[offset]`, whose scalar begins at `line` and `column`.

    `source` is the whole file. An offset beyond the text gives the place of its last character.
    """
    start = _index(source, line, column)
    start = _PROPERTIES.match(source, start).end()  # type: ignore[union-attr] # it matches ""
    style = source[start : start + 1]
    if style in {"|", ">"}:
        start = source.find("\n", start) + 1
    elif style in {"'", '"'}:
        start += 1
    wanted = sum(not character.isspace() for character in text[:offset])
    if not text[offset:].strip():
        wanted = max(0, wanted - 1)
    position = _skip(source, start, style, wanted)
    return _place(source, position)


def _skip(source: str, position: int, style: str, count: int) -> int:
    """The position in the file after `count` characters that are not whitespace, and whitespace."""
    while position < len(source):
        character = source[position]
        if character.isspace():
            position += 1
            continue
        length, blank = 1, False
        if style == '"' and character == "\\":
            letter = source[position + 1 : position + 2]
            length, blank = _ESCAPES.get(letter, 2), letter in _BLANK_ESCAPES
        elif style == "'" and source.startswith("''", position):
            length = 2
        if count == 0 and not blank:
            break
        position += length
        count -= not blank
    return position


def _index(source: str, line: int, column: int) -> int:
    position = 0
    for _ in range(line - 1):
        position = source.find("\n", position) + 1
    return position + column - 1


def _place(source: str, position: int) -> tuple[int, int]:
    before = source[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
