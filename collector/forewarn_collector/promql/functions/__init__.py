"""All functions that give an instant vector or a scalar, by name; there are no others."""

from __future__ import annotations

from collections.abc import Mapping

from forewarn_collector.promql.functions.arithmetic import ARITHMETIC
from forewarn_collector.promql.functions.base import Builder, Compiler
from forewarn_collector.promql.functions.counters import COUNTERS
from forewarn_collector.promql.functions.dates import DATES
from forewarn_collector.promql.functions.histograms import HISTOGRAMS
from forewarn_collector.promql.functions.info import INFO
from forewarn_collector.promql.functions.labelling import LABELLING
from forewarn_collector.promql.functions.over_time import OVER_TIME
from forewarn_collector.promql.functions.presence import (
    PRESENCE,
    SCALAR_FUNCTIONS,
    ConstantPlan,
    scalar_call,
)
from forewarn_collector.promql.functions.trends import TRENDS

FUNCTIONS: Mapping[str, Builder] = {
    **COUNTERS,
    **OVER_TIME,
    **TRENDS,
    **ARITHMETIC,
    **DATES,
    **LABELLING,
    **HISTOGRAMS,
    **INFO,
    **PRESENCE,
}

FUNCTION_NAMES = frozenset(FUNCTIONS) | frozenset(SCALAR_FUNCTIONS)

__all__ = [
    "FUNCTIONS",
    "FUNCTION_NAMES",
    "SCALAR_FUNCTIONS",
    "Builder",
    "Compiler",
    "ConstantPlan",
    "scalar_call",
]
