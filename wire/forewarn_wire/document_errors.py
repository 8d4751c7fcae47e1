"""Text that is no YAML, or no text: where a person has to look, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from forewarn_wire.errors import Problem

_BARE_TEMPLATE = re.compile(r"^\s*(?:- )?[\w.-]+:\s+\{\{")
_ELSEWHERE = "check indentation and quotes here"
_TAB = re.compile(r"^ *\t")
_HINTS = (
    ("cannot start any token", "quote a value that begins with @, ` or %"),
    (
        "mapping values are not allowed",
        "quote a value that holds ': ', or else check the indentation here and in the line above",
    ),
    ("undefined alias", "quote a value that begins with *, or put the anchor &name before it"),
    ("could not find expected ':'", "write 'name: value', with a blank behind the colon"),
    ("expected '-' indicator", "what belongs together begins in the same column"),
    ("expected key", "what belongs together begins in the same column"),
)


def yaml_problem(error: Exception, file: str, text: str) -> Problem:
    """What PyYAML says of a text, in the words and at the place that help to mend it."""
    if isinstance(error, yaml.reader.ReaderError):
        place = _place(text[: error.position])
        return Problem(file, *place, "not YAML: a control character", "take it out")
    problem: str = getattr(error, "problem", None) or str(error) or type(error).__name__
    context: str = getattr(error, "context", None) or ""
    mark: Any = getattr(error, "problem_mark", None)
    opened: Any = getattr(error, "context_mark", None)
    if opened is not None and "quoted scalar" in context and "end of stream" in problem:
        problem = "not YAML: a quote opens here and is never closed"
        return Problem(file, *_of(opened), problem, "close it; within '...' write ' as ''")
    if "another document" in problem:
        problem = "not YAML: a second document begins here"
        return Problem(file, *_of(mark), problem, "keep one a file, without ---")
    if opened is not None and "simple key" in context:
        mark = opened
    return Problem(file, *_of(mark), f"not YAML: {problem}", _hint(problem, mark, text))


def not_text(error: UnicodeDecodeError, file: str) -> Problem:
    """What is wrong with a file that is not UTF-8."""
    data = error.object
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem(file, 1, 1, "not UTF-8 but UTF-16", "save it as UTF-8")
    if b"\0" in data[:1024]:
        return Problem(file, 1, 1, "not text but a binary file", "give a YAML file")
    place = _place(data[: error.start].decode("utf-8"))
    message = f"not UTF-8: {error.reason} 0x{data[error.start]:02x}"
    return Problem(file, *place, message, "save it as UTF-8")


def _hint(problem: str, mark: Any, text: str) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if _TAB.match(line):
        return "indent with blanks, not tabs"
    if _BARE_TEMPLATE.match(line):
        return "a value that begins with {{ needs quotes around it"
    return next((hint for words, hint in _HINTS if words in problem), _ELSEWHERE)


def _of(mark: Any) -> tuple[int, int]:
    return (0, 0) if mark is None else (mark.line + 1, mark.column + 1)


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what stands behind a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")
