"""What templates of one kind may call: their functions, and the methods of their values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from forewarn_collector.rules.go_time import Method, methods


@dataclass(frozen=True, slots=True)
class TemplateFunction:
    """A function and the types of what it takes, of which the last may come any often if `many`.

    `asks` says that it is called with the context first.
    """

    call: Callable[..., Any]
    takes: tuple[str, ...] = ()
    many: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Language:
    """The functions by name, and the methods that a value has.

    `hint` says what to write instead of a function that there is not, given the names there are.
    """

    functions: Mapping[str, TemplateFunction]
    hint: Callable[[str, Collection[str]], str]
    methods: Callable[[Any], Mapping[str, Method]] = methods

    @property
    def names(self) -> frozenset[str]:
        """What can be called; `and` and `or` are the evaluator's own."""
        return frozenset({*self.functions, "and", "or"})
