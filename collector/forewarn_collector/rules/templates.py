"""Templates in annotations and labels: Go's template language, carried out on an alert's data.

Source: https://pkg.go.dev/text/template and prometheus/prometheus `template/template.go`. It
differs in one point: an integer and a float are compared by value, where Go gives an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forewarn_collector.rules.go_format import Struct, format_value
from forewarn_collector.rules.template_functions import FUNCTIONS, TemplateContext, truth
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
    Tree,
    Variable,
)
from forewarn_collector.rules.template_syntax import parse

__all__ = ["Template", "TemplateContext", "TemplateData", "TemplateError"]

_VARIABLES = {
    "$labels": "Labels",
    "$externalLabels": "ExternalLabels",
    "$externalURL": "ExternalURL",
    "$value": "Value",
}
_NAMES = frozenset({*FUNCTIONS, "and", "or"})
_DEEPEST = 50
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class TemplateData:
    """What a template speaks of: the labels (with the metric's name) and value of an element."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A template that was read and found good. `source` is how it was written."""

    source: str
    tree: Tree = field(repr=False)

    @staticmethod
    def parse(text: str) -> Template:
        """Read a template. Raises TemplateError with the offset of what is wrong."""
        return Template(text, parse(text, _NAMES, _VARIABLES))

    @property
    def asks_queries(self) -> bool:
        """Whether its text may change though the alert does not."""
        return "query" in self.source

    @property
    def reads_value(self) -> bool:
        """Whether its text may depend on the value."""
        return "alue" in self.source or _WHOLE_DATA.search(self.source) is not None

    def expand(self, data: TemplateData, context: TemplateContext) -> str:
        """The text for one element. A failure becomes a part of the text, as in Prometheus."""
        nodes = self.tree.nodes
        if all(isinstance(node, Text) for node in nodes):
            return "".join(node.text for node in nodes if isinstance(node, Text))
        try:
            return _Expansion(self.tree, context).run(data)
        except (TemplateError, RecursionError) as error:
            return f"<error expanding template: {error}>"


# A dot or dollar by itself: all there is of an element, its value among it.
_WHOLE_DATA = re.compile(r"\{\{.*(?<![\w.)$])[.$](?!\w).*\}\}", re.DOTALL)


class _BreakLoop(Exception):  # noqa: N818 -- a jump, not an error
    pass


class _ContinueLoop(Exception):  # noqa: N818 -- a jump, not an error
    pass


class _Expansion:
    """One carrying out of a template."""

    def __init__(self, tree: Tree, context: TemplateContext) -> None:
        self._tree = tree
        self._context = context
        self._out: list[str] = []
        self._length = 0
        self._depth = 0
        self._variables: list[tuple[str, Any]] = []

    def run(self, data: TemplateData) -> str:
        fields = {
            "Labels": dict(data.labels),
            "ExternalLabels": dict(self._context.external_labels),
            "ExternalURL": self._context.external_url,
            "Value": data.value,
        }
        root = Struct(fields)
        self._variables = [("$", root)]
        self._variables += [(name, fields[source]) for name, source in _VARIABLES.items()]
        self._nodes(self._tree.nodes, root)
        return "".join(self._out)

    def _nodes(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            match node:
                case Text(text):
                    self._write(text)
                case Action(pipe):
                    value = self._pipe(pipe, dot)
                    if not pipe.variables:
                        self._write("<no value>" if value is None else format_value(value))
                case Branch():
                    mark = len(self._variables)
                    self._branch(node, dot)
                    del self._variables[mark:]
                case Jump(word):
                    raise _BreakLoop if word == "break" else _ContinueLoop
                case Include(name, pipe):
                    self._include(name, None if pipe is None else self._pipe(pipe, dot))

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST:
            raise TemplateError(f"more than {_LONGEST} characters")
        self._out.append(text)

    def _include(self, name: str, dot: Any) -> None:
        if name not in self._tree.defined:
            raise TemplateError(f"template {name!r} not defined")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError("templates include each other too deeply")
        outside, self._variables = self._variables, [("$", dot)]
        self._nodes(self._tree.defined[name], dot)
        self._variables = outside
        self._depth -= 1

    def _branch(self, node: Branch, dot: Any) -> None:
        if node.word == "range":
            self._range(node, dot)
            return
        value = self._pipe(node.pipe, dot)
        inner = value if node.word == "with" else dot
        if truth(value):
            self._nodes(node.body, inner)
        else:
            self._nodes(node.otherwise, dot)

    def _range(self, node: Branch, dot: Any) -> None:
        names = node.pipe.variables
        bare = Pipe(node.pipe.commands)
        value = self._pipe(bare, dot)
        if isinstance(value, dict):
            items = sorted(value.items())
        elif isinstance(value, list):
            items = list(enumerate(value))
        elif value is None:
            items = []
        else:
            raise TemplateError(f"range can't iterate over {format_value(value)}")
        mark = len(self._variables)
        for key, item in items:
            found = (item,) if len(names) == 1 else (key, item)
            for name, given in zip(names, found, strict=False):
                self._set(name, given, node.pipe.assigns)
            try:
                self._nodes(node.body, item)
            except _ContinueLoop:
                continue
            except _BreakLoop:
                break
            finally:
                del self._variables[mark:]
        if not items:
            self._nodes(node.otherwise, dot)

    def _set(self, name: str, value: Any, assigns: bool) -> None:
        if not assigns:
            self._variables.append((name, value))
            return
        for position in range(len(self._variables) - 1, -1, -1):
            if self._variables[position][0] == name:
                self._variables[position] = (name, value)
                return
        raise TemplateError(f"undefined variable: {name}")

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value: Any = None
        for position, command in enumerate(pipe.commands):
            value = self._command(command, dot, [value] if position else [])
        for name in pipe.variables:
            self._set(name, value, pipe.assigns)
        return value

    def _command(self, command: Command, dot: Any, last: list[Any]) -> Any:
        first, *rest = command.operands
        if isinstance(first, Function):
            try:
                return self._call(first.name, rest, dot, last)
            except TemplateError as error:
                if error.offset is not None or str(error).startswith("executing"):
                    raise
                where = f'executing "{command.source}"'
                raise TemplateError(f"{where}: error calling {first.name}: {error}") from None
        if rest or last:
            raise TemplateError(f"can't give argument to non-function {command.source}")
        return self._operand(first, dot)

    def _call(self, name: str, rest: Sequence[Operand], dot: Any, last: list[Any]) -> Any:
        if name in {"and", "or"}:
            return self._shortcut(name, rest, dot, last)
        arguments = [self._operand(operand, dot) for operand in rest] + last
        function = FUNCTIONS[name]
        if not function.least <= len(arguments) <= function.most:
            raise TemplateError(f"wrong number of args: got {len(arguments)}")
        return function.call(self._context, *arguments)

    def _shortcut(self, name: str, rest: Sequence[Operand], dot: Any, last: list[Any]) -> Any:
        value: Any = None
        if not rest and not last:
            raise TemplateError("wrong number of args: got 0")
        for operand in rest:
            value = self._operand(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return last[0] if last else value

    def _operand(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Variable(name):
                for known, value in reversed(self._variables):
                    if known == name:
                        return value
                raise TemplateError(f"undefined variable: {name}")
            case Field(of, names):
                value = self._operand(of, dot)
                for name in names:
                    value = _field(value, name)
                return value
            case Function(name):
                return self._call(name, (), dot, [])
            case Pipe():
                return self._pipe(operand, dot)


def _field(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        # A label that is not there is the empty string, as everywhere in Prometheus.
        return value.get(name, "")
    if isinstance(value, Struct):
        if name in value.fields:
            return value.fields[name]
        known = ", ".join(value.fields)
        raise TemplateError(f"can't evaluate field {name}; there are {known}")
    raise TemplateError(f"can't evaluate field {name} of {format_value(value)}")
