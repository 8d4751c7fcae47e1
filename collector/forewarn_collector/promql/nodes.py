"""The syntax tree of an expression: frozen, comparable, with nothing of the parser library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum

from forewarn_collector.promql.errors import Position
from forewarn_collector.store.columns import Matcher


class ValueType(StrEnum):
    """What an expression gives, in Prometheus' words."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"


class AtEdge(StrEnum):
    """`@ start()` and `@ end()`: the first and last step of the query."""

    START = "start"
    END = "end"


At = int | AtEdge | None
"""The time of an `@` modifier in ms since epoch, or an edge of the query."""


class Cardinality(StrEnum):
    """How many series of each side may match one of the other."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"  # group_left
    ONE_TO_MANY = "one-to-many"  # group_right
    MANY_TO_MANY = "many-to-many"  # and, or, unless


@dataclass(frozen=True, slots=True)
class Number:
    """A scalar literal."""

    value: float


@dataclass(frozen=True, slots=True)
class String:
    """A string literal, without its quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """`name{matchers} offset o @ at`; the name is one of the matchers. Times in ms.

    `place` is where it begins; it makes no difference to another selector.
    """

    matchers: tuple[Matcher, ...]
    offset: int = 0
    at: At = None
    place: Position | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LabelMatchers(Selector):
    """The second argument of `info`: only matchers in braces, a metric's name among them or not."""


@dataclass(frozen=True, slots=True)
class Range:
    """`selector[range]`, range in ms."""

    selector: Selector
    range: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]`; without a step, the engine's default one. Times in ms."""

    expr: Expr
    range: int
    step: int | None
    offset: int = 0
    at: At = None


@dataclass(frozen=True, slots=True)
class Paren:
    """`(expr)`."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Negation:
    """`-expr`; a plus sign leaves no trace."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Places:
    """Where something written as a call begins, and where each of its arguments does.

    Arguments begin behind the brackets that are around the whole of them.
    """

    start: Position
    arguments: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`. Its place makes no difference to another call."""

    function: str
    arguments: tuple[Expr, ...]
    places: Places | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`operator by|without (labels) (parameter, expr)`."""

    operator: str
    expr: Expr
    parameter: Expr | None
    labels: tuple[str, ...]
    without: bool
    places: Places | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Matching:
    """Which series of two vectors belong together.

    `on` tells whether `labels` are those compared or those left out. `include` are the labels
    of `group_left` or `group_right`; `fills` are the values that stand in for a missing left
    and a missing right side.
    """

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    fills: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; `matching` matters between two vectors only.

    `place` is that of the operator; it makes no difference to another operation.
    """

    operator: str
    left: Expr
    right: Expr
    returns_bool: bool
    matching: Matching
    place: Position | None = field(default=None, compare=False, repr=False)


Expr = (
    Number | String | Selector | Range | Subquery | Paren | Negation | Call | Aggregation | Binary
)


def children(node: Expr) -> Iterator[Expr]:
    """The expressions directly below a node, from left to right."""
    for part in fields(node):
        value = getattr(node, part.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Expr):
                yield item


def nodes_of(node: Expr) -> Iterator[Expr]:
    """A node and all below it, from left to right."""
    yield node
    for child in children(node):
        yield from nodes_of(child)


def place_of(node: Call | Aggregation, argument: int | None = None) -> Position | None:
    """Where a call or aggregation begins, or one of its arguments."""
    if node.places is None:
        return None
    return node.places.start if argument is None else node.places.arguments[argument]


def brackets_around(node: Expr) -> int:
    """How many parentheses there are around the whole of an expression."""
    return 1 + brackets_around(node.expr) if isinstance(node, Paren) else 0


def unwrapped(node: Expr) -> Expr:
    """The expression without the parentheses around it."""
    while isinstance(node, Paren):
        node = node.expr
    return node
