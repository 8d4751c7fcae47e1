"""Fields of requests: each says once what it admits, for whoever reads it and for the description.

Source of the words of a schema: JSON Schema 2020-12, as OpenAPI 3.1 has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from multidict import MultiMapping

Schema = dict[str, Any]
T = TypeVar("T")
Values = Mapping[str, Any]

LATEST = 253_402_300_799_999
"""The last time (ms) of the calendar."""


class FieldError(ValueError):
    """What was sent does not fit; the text names every field and what is wrong with it."""


class Kind(Protocol):
    """What a field admits."""

    def schema(self) -> Schema:
        """That as a JSON Schema."""

    def of_text(self, text: str) -> Any:
        """The value in an address or a header. Raises ValueError."""

    def of_json(self, value: Any) -> Any:
        """The value in a JSON body. Raises ValueError."""


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Text without NUL; `pattern` is anchored."""

    longest: int = 1_000
    shortest: int = 0
    pattern: str = r"[^\x00]*"

    def schema(self) -> Schema:
        """See `Kind`."""
        found: Schema = {"type": "string", "maxLength": self.longest}
        if self.shortest:
            found["minLength"] = self.shortest
        return {**found, "pattern": f"^{self.pattern}$"}

    def of_text(self, text: str) -> str:
        """See `Kind`."""
        if not self.shortest <= len(text) <= self.longest:
            raise ValueError(f"expected {self.shortest} to {self.longest} characters")
        if re.fullmatch(self.pattern, text, re.DOTALL) is None:
            raise ValueError(f"expected {self.pattern}")
        # Half a pair of surrogates is no text that a database could keep.
        text.encode()
        return text

    def of_json(self, value: Any) -> str:
        """See `Kind`."""
        if not isinstance(value, str):
            raise ValueError("expected a text")
        return self.of_text(value)


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few texts."""

    among: tuple[str, ...]

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "string", "enum": [str(each) for each in self.among]}

    def of_text(self, text: str) -> str:
        """See `Kind`."""
        if text not in self.among:
            raise ValueError(f"expected one of {', '.join(self.among)}")
        return text

    def of_json(self, value: Any) -> str:
        """See `Kind`."""
        return self.of_text(value if isinstance(value, str) else "")


def one_of(known: type[StrEnum]) -> Choice:
    """One of the members of an enumeration."""
    return Choice(tuple(each.value for each in known))


@dataclass(frozen=True, slots=True)
class Whole(Kind):
    """A whole number."""

    least: int = 0
    most: int = LATEST

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def of_text(self, text: str) -> int:
        """See `Kind`."""
        if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) is None:
            raise ValueError("expected a whole number")
        return self._within(int(text))

    def of_json(self, value: Any) -> int:
        """See `Kind`. 2.0 is a whole number, too."""
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            raise ValueError("expected a whole number")
        return self._within(int(value))

    def _within(self, number: int) -> int:
        if not self.least <= number <= self.most:
            raise ValueError(f"expected {self.least} to {self.most}")
        return number


TIME = Whole()
"""A time in ms since epoch."""


@dataclass(frozen=True, slots=True)
class Many(Kind):
    """Several values: a parameter that is repeated, an array in a body."""

    of: Kind
    least: int = 0
    most: int = 100

    def schema(self) -> Schema:
        """See `Kind`."""
        return {
            "type": "array",
            "items": self.of.schema(),
            "minItems": self.least,
            "maxItems": self.most,
        }

    def of_text(self, text: str) -> tuple[Any, ...]:
        """See `Kind`."""
        return self.of_texts([text])

    def of_texts(self, texts: Sequence[str]) -> tuple[Any, ...]:
        """The values of a parameter that is repeated. Raises ValueError."""
        return tuple(self.of.of_text(text) for text in self._few(texts))

    def of_json(self, value: Any) -> tuple[Any, ...]:
        """See `Kind`."""
        if not isinstance(value, list):
            raise ValueError("expected an array")
        return tuple(self.of.of_json(each) for each in self._few(value))

    def _few(self, values: Sequence[T]) -> Sequence[T]:
        if not self.least <= len(values) <= self.most:
            raise ValueError(f"expected {self.least} to {self.most} values")
        return values


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an address, a header or a body, with what it is for."""

    name: str
    about: str
    kind: Kind
    default: Any = None
    required: bool = False


def read_query(fields: Sequence[Field], given: MultiMapping[str]) -> Values:
    """The fields in an address. Raises FieldError."""
    known = {field.name: field for field in fields}
    problems = _unknown(dict.fromkeys(given), known)
    values: dict[str, Any] = {}
    for field in fields:
        texts = given.getall(field.name, [])
        try:
            if isinstance(field.kind, Many):
                values[field.name] = field.kind.of_texts(texts)
                continue
            if len(texts) > 1:
                raise ValueError("it is there more than once")
            values[field.name] = field.kind.of_text(texts[0]) if texts else field.default
        except ValueError as error:
            problems.append(f"{field.name}: {_said(error)}")
    return _sound(values, problems)


def read_named(fields: Sequence[Field], given: Mapping[str, str]) -> Values:
    """The fields in headers, or in the path; others are nobody's business. Raises FieldError."""
    values, problems = {}, []
    for field in fields:
        text = given.get(field.name)
        try:
            values[field.name] = field.default if text is None else field.kind.of_text(text)
        except ValueError as error:
            problems.append(f"{field.name}: {_said(error)}")
    return _sound(values, problems)


def read_body(fields: Sequence[Field], body: bytes) -> Values:
    """The fields in a JSON object; nothing at all is an empty one. Raises FieldError."""
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise FieldError(f"not JSON: {error}") from error
    if not isinstance(given, dict):
        raise FieldError("expected a JSON object")
    known = {field.name: field for field in fields}
    problems, values = _unknown(given, known), {}
    for field in fields:
        if field.name not in given:
            values[field.name] = field.default
            if field.required:
                problems.append(f"{field.name}: it is missing")
            continue
        try:
            values[field.name] = field.kind.of_json(given[field.name])
        except ValueError as error:
            problems.append(f"{field.name}: {_said(error)}")
    return _sound(values, problems)


def body_schema(fields: Sequence[Field]) -> Schema:
    """The JSON Schema of an object with these fields."""
    return {
        "type": "object",
        "properties": {
            field.name: {**field.kind.schema(), "description": field.about} for field in fields
        },
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def _unknown(given: Mapping[str, Any], known: Mapping[str, Field]) -> list[str]:
    strange = sorted(name for name in given if name not in known)
    there_are = ", ".join(known) or "none"
    return [f"{name:.100}: there is no such field; there are {there_are}" for name in strange]


def _sound(values: dict[str, Any], problems: Sequence[str]) -> Values:
    if problems:
        raise FieldError("; ".join(_printable(problems)))
    return values


def _printable(texts: Sequence[str]) -> Iterator[str]:
    return (text.encode(errors="replace").decode() for text in texts)


def _said(error: ValueError) -> str:
    return "no Unicode" if isinstance(error, UnicodeError) else str(error)
