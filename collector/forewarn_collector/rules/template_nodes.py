"""What a Go template consists of once it is read: a tree of frozen nodes.

`at` is where in the text a node begins; str() writes a node as Go does in its errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class TemplateError(ValueError):
    """A template that cannot be read or carried out.

    `offset` is where in its text, or None; `hint` says what to do about it, if there is anything.
    """

    def __init__(self, message: str, offset: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, number, true, false, or nil; `source` is how it was written."""

    value: Any
    source: str
    at: int

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True, slots=True)
class Dot:
    """The value that `.` stands for."""

    at: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`."""

    name: str
    at: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Function:
    """A function by its name."""

    name: str
    at: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B` of an operand."""

    of: Operand
    names: tuple[str, ...]
    at: int

    def __str__(self) -> str:
        of = "" if isinstance(self.of, Dot) else _argument(self.of)
        return "".join((of, *(f".{name}" for name in self.names)))


@dataclass(frozen=True, slots=True)
class Command:
    """A function or method with its arguments, or one operand."""

    operands: tuple[Operand, ...]
    at: int

    def __str__(self) -> str:
        return " ".join(map(_argument, self.operands))


@dataclass(frozen=True, slots=True)
class Pipe:
    """`a | b | c`, with the variables that it declares (or, if `assigns`, sets)."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...]
    assigns: bool
    at: int

    def __str__(self) -> str:
        sign = "=" if self.assigns else ":="
        names = f"{', '.join(self.variables)} {sign} " if self.variables else ""
        return names + " | ".join(map(str, self.commands))


Operand = Literal | Dot | Variable | Function | Field | Pipe


def _argument(operand: Operand) -> str:
    return f"({operand})" if isinstance(operand, Pipe) else str(operand)


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
    at: int

    def __str__(self) -> str:
        pipe = "" if self.pipe is None else f" {self.pipe}"
        return f'{{{{template "{self.name}"{pipe}}}}}'


Node = Text | Action | Branch | Jump | Include


@dataclass(slots=True)
class Tree:
    """A template: its nodes, what it defines, and which functions and templates it names."""

    nodes: tuple[Node, ...] = ()
    defined: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    included: set[str] = field(default_factory=set)
