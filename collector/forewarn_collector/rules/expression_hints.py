"""What to write instead, where an expression is refused: the remedy to Prometheus' words."""

from __future__ import annotations

import re
from difflib import get_close_matches

from forewarn_collector.promql import FUNCTION_NAMES

_UNKNOWN = re.compile(r'unknown function with name "(.*)"')
_AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "quantile", "topk", "bottomk")
_QUOTES = "quotes are \" or ', not typographic ones"
_AND = "the operators are and, or, unless"
_RANGE = "a range such as [5m] goes behind the metric, within the function: rate(metric[5m])"
_HINTS = (
    ("unexpected right parenthesis", "one closing bracket too many"),
    ("unclosed left parenthesis", "a bracket is never closed"),
    ("in label matching, expected string", 'values of labels stand in quotes: {name="value"}'),
    ("expected label matching operator", 'labels are compared by =, !=, =~ or !~: {name="value"}'),
    ('unexpected "="', "comparisons are ==, !=, <, <=, > and >="),
    ('identifier "for"', "how long it must hold stands beside expr, as for: 5m"),
    ("in grouping opts", "labels stand in brackets: by (instance)"),
    ("must contain only scalar and instant vector", _RANGE),
    ("expected type range vector", _RANGE),
    ("got range vector", "wrap the range in a function such as rate() or avg_over_time()"),
    ("ranges only allowed for vector selectors", "write a subquery: (expression)[5m:1m]"),
    ("bad number or duration", "durations are written 30s, 5m, 1h30m, 7d"),
    ("character inside brackets", "durations are written 30s, 5m, 1h30m, 7d, without blanks"),
    ("must use BOOL modifier", "compare with a metric, or write == bool"),
    ("at least one non-empty matcher", "name a metric, or a label that it must have"),
    ("unterminated quoted string", "close the quote"),
    ("inside braces", "close the brace with }"),
    ("unexpected end of input", "something is missing behind the last operator"),
    ("character: '“'", _QUOTES),
    ("character: '”'", _QUOTES),
    ("character: '‘'", _QUOTES),
    ("character: '’'", _QUOTES),
    ("character: '&'", _AND),
    ("character: '|'", _AND),
    ("character: '$'", "an expression knows no variables; Grafana's are to be written out"),
    ("character: '.'", 'a name with dots stands in braces and quotes: {"name.with.dots"}'),
)


def hint_of(message: str) -> str:
    """The remedy for what the parser says; empty where it knows none."""
    unknown = _UNKNOWN.search(message)
    if unknown is not None:
        near = get_close_matches(unknown[1], (*sorted(FUNCTION_NAMES), *_AGGREGATIONS), 1)
        return f"did you mean {near[0]}?" if near else ""
    return next((hint for words, hint in _HINTS if words in message), "")
