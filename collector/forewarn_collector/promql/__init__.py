"""The query engine: PromQL compiled to plans, evaluated in numpy over columns of samples."""

from forewarn_collector.promql.deadline import Deadline
from forewarn_collector.promql.errors import (
    EvalError,
    PromQLError,
    QueryCanceledError,
    QueryTimeoutError,
)
from forewarn_collector.promql.explain import Explained, explain
from forewarn_collector.promql.functions import FUNCTION_NAMES
from forewarn_collector.promql.growing import Distinct, Growing, continues
from forewarn_collector.promql.leaves import SelectorInfo, depends_on_steps, reach_of
from forewarn_collector.promql.live import LiveWindows
from forewarn_collector.promql.needs import Need, needs_of
from forewarn_collector.promql.nodes import AtEdge, Expr, Selector, ValueType
from forewarn_collector.promql.query import Query, Result, compile_query, share
from forewarn_collector.promql.shared import Round
from forewarn_collector.promql.text import plain_float, series_text
from forewarn_collector.promql.values import LOOKBACK

__all__ = [
    "FUNCTION_NAMES",
    "LOOKBACK",
    "AtEdge",
    "Deadline",
    "Distinct",
    "EvalError",
    "Explained",
    "Expr",
    "Growing",
    "LiveWindows",
    "Need",
    "PromQLError",
    "Query",
    "QueryCanceledError",
    "QueryTimeoutError",
    "Result",
    "Round",
    "Selector",
    "SelectorInfo",
    "ValueType",
    "compile_query",
    "continues",
    "depends_on_steps",
    "explain",
    "needs_of",
    "plain_float",
    "reach_of",
    "series_text",
    "share",
]
