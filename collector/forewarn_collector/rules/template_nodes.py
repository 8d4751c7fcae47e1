"""What a Go template consists of once it is read: a tree of frozen nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class TemplateError(ValueError):
    """A template that cannot be read or carried out; `offset` is where in its text, or None."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, number, true, false, or nil."""

    value: Any


@dataclass(frozen=True, slots=True)
class Dot:
    """The value that `.` stands for."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B` of an operand."""

    of: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A function with its arguments, or one operand; `source` is its text, for errors."""

    operands: tuple[Operand, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """`a | b | c`, with the variables that it declares (or, if `assigns`, sets)."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False


Operand = Literal | Dot | Variable | Function | Field | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is copied."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """`{{ pipe }}`."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`, by `word`."""

    word: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    word: str


@dataclass(frozen=True, slots=True)
class Include:
    """`{{ template "name" pipe }}`."""

    name: str
    pipe: Pipe | None


Node = Text | Action | Branch | Jump | Include


@dataclass(slots=True)
class Tree:
    """A template: its nodes and the templates that it defines."""

    nodes: tuple[Node, ...] = ()
    defined: dict[str, tuple[Node, ...]] = field(default_factory=dict)
