"""Matchers made ready: one predicate on a label's value, regexes by RE2, fully anchored.

Source: prometheus/prometheus `model/labels/matcher.go` and `regexp.go`; RE2 runs in linear time, so
that a regex from a rule or a dashboard cannot hang the collector. As in Prometheus 3, `.` also
matches a line feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import re2

from forewarn_collector.store.columns import Matcher, MatchOp
from forewarn_wire import Labels
from forewarn_wire.labels import METRIC_NAME

Predicate = Callable[[str], bool]


@lru_cache(maxsize=4096)
def compile_regex(pattern: str) -> Any:
    """The compiled RE2 regex. Raises ValueError that says what is wrong with it."""
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ValueError(f"bad regex {pattern!r}: {reason}; see RE2's syntax") from None


def predicate(matcher: Matcher) -> Predicate:
    """Whether a label's value ("" where it is absent) meets the matcher. ValueError: bad regex."""
    wanted = matcher.value
    match matcher.op:
        case MatchOp.EQUAL:
            return lambda value: value == wanted
        case MatchOp.NOT_EQUAL:
            return lambda value: value != wanted
        case MatchOp.REGEX:
            regex = compile_regex(wanted)
            return lambda value: regex.fullmatch(value) is not None
        case MatchOp.NOT_REGEX:
            regex = compile_regex(wanted)
            return lambda value: regex.fullmatch(value) is None


def labels_predicate(matchers: Sequence[Matcher]) -> Callable[[Labels], bool]:
    """Whether a label set meets all matchers. Raises ValueError: bad regex."""
    tests = [(matcher.name, predicate(matcher)) for matcher in matchers]

    def meets(labels: Labels) -> bool:
        values = dict(labels)
        return all(test(values.get(name, "")) for name, test in tests)

    return meets


def metric_of(matchers: Iterable[Matcher]) -> str:
    """The metric that the matchers name, "" where they don't."""
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL:
            return matcher.value
    return ""
