"""What a template reads of an element: its labels and its value, with the places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forewarn_collector.rules.template_nodes import (
    Action,
    Branch,
    Dot,
    Field,
    Function,
    Include,
    Literal,
    Node,
    Operand,
    Pipe,
    Variable,
)
from forewarn_collector.rules.templates import Template


@dataclass(frozen=True, slots=True)
class Use:
    """A label that is read, or ("" as its name) the value, from `start` to `end` of the source.

    `tested` means that it only decides what else is written.
    """

    label: str
    start: int
    end: int
    tested: bool


def uses_of(template: Template) -> list[Use]:
    """What a template reads under names that Prometheus gives; not what it defines itself."""
    return list(_of_nodes(template.tree.nodes, top=True))


def _of_nodes(nodes: Sequence[Node], *, top: bool) -> Iterator[Use]:
    """`top` tells whether the dot is the whole of the data here."""
    for node in nodes:
        match node:
            case Action(pipe):
                # What is only set is read elsewhere, if at all.
                yield from _of_pipe(pipe, top=top, tested=bool(pipe.variables))
            case Branch(word, pipe, body, otherwise):
                yield from _of_pipe(pipe, top=top, tested=True)
                yield from _of_nodes(body, top=top and word == "if")
                yield from _of_nodes(otherwise, top=top)
            case Include(_, Pipe() as pipe):
                yield from _of_pipe(pipe, top=top, tested=False)


def _of_pipe(pipe: Pipe, *, top: bool, tested: bool) -> Iterator[Use]:
    for command in pipe.commands:
        match command.operands:
            case (Function("index"), labels, Literal(str() as name)) if _is_labels(labels, top):
                yield Use(name, command.at, command.at + len(str(command)), tested)
                continue
        for operand in command.operands:
            yield from _of_operand(operand, top=top, tested=tested)


def _of_operand(operand: Operand, *, top: bool, tested: bool) -> Iterator[Use]:
    match operand:
        case Field(of, (*above, name)) if _is_labels(
            Field(of, tuple(above), operand.at) if above else of, top
        ):
            yield Use(name, *_extent(operand), tested)
        case Variable("$value") | Field(Dot() | Variable("$"), ("Value",)):
            if top or not (isinstance(operand, Field) and isinstance(operand.of, Dot)):
                yield Use("", *_extent(operand), tested)
        case Pipe():
            yield from _of_pipe(operand, top=top, tested=tested)
        case Field(Pipe() as inner):
            yield from _of_pipe(inner, top=top, tested=tested)


def _extent(operand: Operand) -> tuple[int, int]:
    """Where an operand begins and ends; a field's own place is that of its first name."""
    of = operand.of if isinstance(operand, Field) else operand
    return of.at, of.at + len(str(operand))


def _is_labels(operand: Operand, top: bool) -> bool:
    match operand:
        case Variable("$labels") | Field(Variable("$"), ("Labels",)):
            return True
        case Field(Dot(), ("Labels",)):
            return top
    return False
