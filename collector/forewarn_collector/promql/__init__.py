"""The query engine: PromQL compiled to plans, evaluated in numpy over columns of samples."""

from forewarn_collector.promql.errors import EvalError, PromQLError
from forewarn_collector.promql.nodes import AtEdge, Expr, Selector, ValueType
from forewarn_collector.promql.query import LOOKBACK, Query, Result, SelectorInfo, compile_query
from forewarn_collector.promql.text import plain_float, series_text

__all__ = [
    "LOOKBACK",
    "AtEdge",
    "EvalError",
    "Expr",
    "PromQLError",
    "Query",
    "Result",
    "Selector",
    "SelectorInfo",
    "ValueType",
    "compile_query",
    "plain_float",
    "series_text",
]
