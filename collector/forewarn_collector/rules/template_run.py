"""Carries out a template that was read: its tree, on given data, by a language's functions.

Source: https://pkg.go.dev/text/template and Go's text/template/exec.go. A template ends with an
error where Go's would run on without bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from forewarn_collector.rules.go_format import LONGEST, format_value
from forewarn_collector.rules.go_values import AnyMap, Struct, indirect, truth, type_name
from forewarn_collector.rules.template_arguments import ANY, assign, literal
from forewarn_collector.rules.template_builtins import items, printable
from forewarn_collector.rules.template_language import Language
from forewarn_collector.rules.template_nodes import (
    Action,
    Branch,
    Command,
    Dot,
    Field,
    Function,
    Include,
    Jump,
    Literal,
    Node,
    Operand,
    Pipe,
    TemplateError,
    Text,
    Variable,
)

_DEEPEST = 50
_MOST_STEPS = 100_000
_MOST_QUERIES = 100
_LETTERS_PER_STEP = 64
_NOTHING: Any = object()
"""No value from a command before, which is not the same as nil."""


class Writer(Protocol):
    """How texts and values become what comes out; called in the order of the output."""

    def text(self, text: str) -> str:
        """What stands for text of the template itself."""

    def value(self, value: Any) -> str:
        """What stands for the value of an action. Raises TemplateError."""


class PlainWriter:
    """As they are: Go's text/template."""

    def text(self, text: str) -> str:
        """See Writer."""
        return text

    def value(self, value: Any) -> str:
        """See Writer."""
        return value if type(value) is str else format_value(printable(value))


class _BreakLoop(Exception):  # noqa: N818 -- a jump, not an error
    pass


class _ContinueLoop(Exception):  # noqa: N818 -- a jump, not an error
    pass


class Expansion:
    """One carrying out of a template. `self._at` is the node that an error is about, as in Go."""

    def __init__(
        self,
        language: Language,
        defined: Mapping[str, Sequence[Node]],
        context: Any,
        writer: Writer | None = None,
    ) -> None:
        """`defined` are the templates that can be called; `context` goes to functions that ask."""
        self._language = language
        self._defined = defined
        self._writer = writer or PlainWriter()
        self._context = context
        self._out: list[str] = []
        self._length = 0
        self._depth = 0
        self._steps = 0
        self._queries = 0
        self._variables: list[tuple[str, Any]] = []
        self._at: Operand | Command | Include | None = None

    def run(self, nodes: Sequence[Node], root: Any, variables: Mapping[str, Any]) -> str:
        """The text; `root` is `.` and `$`. Raises TemplateError, RecursionError."""
        self._variables = [("$", root), *variables.items()]
        self._nodes(nodes, root)
        return "".join(self._out)

    @property
    def offset(self) -> int:
        """Where in the text it stopped."""
        return 0 if self._at is None else self._at.at

    @property
    def node(self) -> str:
        """What it stopped at, as a beginning of a sentence; empty where that is not known."""
        return "" if self._at is None else f"at <{self._at}>: "

    def place(self, source: str) -> str:
        """Where in the text it stopped: line, column and the node there."""
        if self._at is None:
            return "1:1"
        before = source[: self._at.at]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return f"{line}:{column}: at <{self._at}>"

    def _nodes(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._write(self._writer.text(node.text))
            elif isinstance(node, Action):
                value = self._pipe(node.pipe, dot)
                if not node.pipe.variables:
                    self._write(self._writer.value(value))
            elif isinstance(node, Branch):
                mark = len(self._variables)
                if node.word == "range":
                    self._range(node, dot)
                else:
                    self._branch(node, dot)
                del self._variables[mark:]
            elif isinstance(node, Jump):
                raise _BreakLoop if node.word == "break" else _ContinueLoop
            else:
                self._include(node, dot)

    def _write(self, text: str) -> None:
        self._step()
        self._length += len(text)
        if self._length > LONGEST:
            raise TemplateError(f"a text of more than {LONGEST} characters")
        self._out.append(text)

    def _step(self, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise TemplateError(f"more than {_MOST_STEPS} steps")

    def _include(self, node: Include, dot: Any) -> None:
        self._at = node
        if node.name not in self._defined:
            raise TemplateError(f'template "{node.name}" not defined')
        if self._depth == _DEEPEST:
            raise TemplateError(f"exceeded maximum template depth ({_DEEPEST})")
        self._step()
        value = None if node.pipe is None else self._pipe(node.pipe, dot)
        self._depth += 1
        outside, self._variables = self._variables, [("$", value)]
        self._nodes(self._defined[node.name], value)
        self._variables = outside
        self._depth -= 1

    def _branch(self, node: Branch, dot: Any) -> None:
        value = self._pipe(node.pipe, dot)
        if truth(value):
            self._nodes(node.body, value if node.word == "with" else dot)
        else:
            self._nodes(node.otherwise, dot)

    def _range(self, node: Branch, dot: Any) -> None:
        names = node.pipe.variables
        value = indirect(self._pipe(node.pipe, dot))
        mark = len(self._variables)
        empty = True
        for key, item in items(value, len(names)):
            empty = False
            self._step()
            found = (item,) if len(names) == 1 else (key, item)
            for position, (name, given) in enumerate(zip(names, found, strict=False)):
                if node.pipe.assigns:
                    self._set(name, given)
                else:
                    self._variables[mark - len(names) + position] = (name, given)
            try:
                self._nodes(node.body, item)
            except _ContinueLoop:
                continue
            except _BreakLoop:
                break
            finally:
                del self._variables[mark:]
        if empty:
            self._nodes(node.otherwise, dot)

    def _set(self, name: str, value: Any) -> None:
        for position in range(len(self._variables) - 1, -1, -1):
            if self._variables[position][0] == name:
                self._variables[position] = (name, value)
                return
        raise TemplateError(f"undefined variable: {name}")

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        self._at = pipe
        value: Any = _NOTHING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.variables:
            if pipe.assigns:
                self._set(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _command(self, command: Command, dot: Any, last: Any) -> Any:
        first = command.operands[0]
        if isinstance(first, Function):
            self._at = first
            return self._call(first.name, command, command.operands[1:], dot, last)
        if isinstance(first, Field):
            return self._field(first, command.operands[1:], dot, last)
        if not isinstance(first, Pipe):
            self._at = first
        if last is not _NOTHING or len(command.operands) > 1:
            raise TemplateError(f"can't give argument to non-function {first}")
        if isinstance(first, Literal) and first.value is None:
            raise TemplateError("nil is not a command")
        return self._operand(first, dot)

    def _call(
        self, name: str, node: Operand | Command, given: Sequence[Operand], dot: Any, last: Any
    ) -> Any:
        if name in {"and", "or"}:
            return self._shortcut(name, given, dot, last)
        function = self._language.functions[name]
        arguments = self._arguments(name, function.takes, function.many, given, dot, last)
        if name == "query":
            self._queries += 1
            if self._queries > _MOST_QUERIES:
                raise TemplateError(f"more than {_MOST_QUERIES} queries")
        self._step(1 + sum([_size(value) for value in arguments]) // _LETTERS_PER_STEP)
        if function.asks:
            arguments = [self._context, *arguments]
        return self._result(name, node, function.call, arguments)

    def _result(
        self, name: str, node: Operand | Command, call: Callable[..., Any], given: Sequence[Any]
    ) -> Any:
        """What a function or method gives, which must not be too long."""
        try:
            value = call(*given)
            if isinstance(value, str) and len(value) > LONGEST:
                raise TemplateError(f"a text of more than {LONGEST} characters")
        except ValueError as error:
            self._at = node
            raise TemplateError(f"error calling {name}: {error}") from None
        return value

    def _arguments(
        self,
        name: str,
        takes: Sequence[str],
        many: bool,
        given: Sequence[Operand],
        dot: Any,
        last: Any,
    ) -> list[Any]:
        """The values of a call's arguments, each of a type that is taken there."""
        count = len(given) + (last is not _NOTHING)
        if many and count < len(takes) - 1:
            least = f"want at least {len(takes) - 1} got {len(given)}"
            raise TemplateError(f"wrong number of args for {name}: {least}")
        if not many and count != len(takes):
            raise TemplateError(f"wrong number of args for {name}: want {len(takes)} got {count}")
        values = []
        for position, operand in enumerate(given):
            wanted = takes[min(position, len(takes) - 1)]
            self._at = operand
            if isinstance(operand, Literal):
                values.append(literal(operand, wanted))
            else:
                value = self._operand(operand, dot)
                values.append(value if wanted == ANY else assign(value, wanted))
        if last is not _NOTHING:
            values.append(assign(last, takes[min(len(given), len(takes) - 1)]))
        return values

    def _shortcut(self, name: str, given: Sequence[Operand], dot: Any, last: Any) -> Any:
        if not given and last is _NOTHING:
            raise TemplateError(f"wrong number of args for {name}: want at least 1 got 0")
        value: Any = None
        for operand in given:
            self._at = operand
            value = self._operand(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return value if last is _NOTHING else last

    def _operand(self, operand: Operand, dot: Any) -> Any:
        if isinstance(operand, Field):
            return self._field(operand, (), dot, _NOTHING)
        if isinstance(operand, Variable):
            self._at = operand
            for known, value in reversed(self._variables):
                if known == operand.name:
                    return value
            raise TemplateError(f"undefined variable: {operand.name}")
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Function):
            self._at = operand
            return self._call(operand.name, operand, (), dot, _NOTHING)
        return self._pipe(operand, dot)

    def _field(self, node: Field, given: Sequence[Operand], dot: Any, last: Any) -> Any:
        """A chain of fields and methods, of which the last may be a method with arguments."""
        self._at = node
        value = self._operand(node.of, dot)
        if isinstance(node.of, (Dot, Variable)):
            self._at = node
        if value is None:
            return None
        for name in node.names[:-1]:
            value = self._member(node, name, value, (), dot, _NOTHING)
        return self._member(node, node.names[-1], value, given, dot, last)

    def _member(
        self, node: Field, name: str, value: Any, given: Sequence[Operand], dot: Any, last: Any
    ) -> Any:
        if value is None:
            raise TemplateError(f"nil pointer evaluating interface {{}}.{name}")
        method = self._language.methods(value).get(name)
        if method is not None:
            arguments = self._arguments(name, method.takes, False, given, dot, last)
            self._step()
            return self._result(name, node, method.call, [indirect(value), *arguments])
        has_arguments = bool(given) or last is not _NOTHING
        inner = indirect(value)
        if isinstance(inner, dict):
            if has_arguments:
                raise TemplateError(f"{name} is not a method but has arguments")
            # A label that is not there is the empty string, as everywhere in Prometheus.
            return inner.get(name, None if isinstance(inner, AnyMap) else "")
        if isinstance(inner, Struct) and name in inner.fields:
            if has_arguments:
                raise TemplateError(f"{name} has arguments but cannot be invoked as function")
            return inner.fields[name]
        raise TemplateError(f"can't evaluate field {name} in type {type_name(value)}")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, dict)) else 0
