"""The documented changes from Prometheus 2.42 to 3.x: all the differences that the test allows.

Most are kept out of the questions, which are built so that both answer alike; the others are
told from a mistake by what else must then hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.functions import FUNCTIONS, Builder
from forewarn_collector.promql.functions.base import over_range
from forewarn_collector.promql.values import Bools, Context, Windows
from forewarn_collector.store.columns import Floats


@dataclass(frozen=True, slots=True)
class Change:
    """What differs, for whom it matters; where it is said; how the test goes about it."""

    what: str
    source: str
    handling: str


_ISSUE = "https://github.com/prometheus/prometheus/pull/"

RANGES = Change(
    "Ranges and look-back are left-open: a sample exactly at the older edge no longer counts.",
    "https://prometheus.io/docs/prometheus/3.0/migration/#promql",
    "kept out: no sample and no step of a subquery lies on an edge",
)
NEWLINES = Change(
    "In a regular expression `.` matches a newline, too.",
    "https://prometheus.io/docs/prometheus/3.0/migration/#promql",
    "kept out: no label has a newline",
)
SMOOTHING = Change(
    "`holt_winters` is called `double_exponential_smoothing`; we know both names.",
    f"{_ISSUE}14930",
    "compared under the old name",
)
EXTRAPOLATION = Change(
    "`rate` and `increase` of a counter that begins within the range: half the usual distance of"
    " samples is extrapolated, or to the counter's zero if that is nearer; 2.x went to the zero"
    " even if that was farther.",
    f"{_ISSUE}13725",
    "where the answer differs, ours by the rule of 2.x must equal it",
)
NAMES = Change(
    "The metric's name is dropped at the end of a query (3.x: behind a flag; here: always), so"
    " that series which differ in it alone do not collide on the way, and `label_replace` and"
    " `label_join` can read it.",
    f"{_ISSUE}14477",
    "only where 2.x says that a vector contains the same label set twice; nothing reads"
    " `__name__` but of a selector",
)
ATAN2 = Change(
    "`atan2` drops the metric's name, as all arithmetic does.",
    f"{_ISSUE}12595",
    "kept out: 0 is added to it, which drops the name in both",
)
DEVIATIONS = Change(
    "`stddev` and `stdvar` of a group that has only NaN or an infinity are NaN; 2.x said 0.",
    f"{_ISSUE}14941",
    "kept out: compared on finite values",
)
FRACTIONS = Change(
    "`histogram_fraction` works on classic histograms, too.",
    f"{_ISSUE}16095",
    "kept out: compared on what is no histogram",
)
DATES = Change(
    "Dates of NaN, of infinities and of times beyond 64 bits are NaN here; Prometheus gives what"
    " the processor makes of them.",
    "https://go.dev/ref/spec#Conversions (implementation-dependent)",
    "kept out: compared on finite values",
)
TIES = Change(
    "Which of equal series `topk` and `bottomk` take is not said anywhere, nor is the order of"
    " equal values in `sort`.",
    "https://prometheus.io/docs/prometheus/latest/querying/operators/#aggregation-operators",
    "where the series differ, the values of each step must be the same",
)
ROUNDING = Change(
    "Sums and means are compensated (Kahan, Neumaier), each version's and ours in its own way; in"
    " what is left where nearly everything cancels, digits differ.",
    f"{_ISSUE}14074",
    "where answers differ, nudging the samples by 1e-13 must move ours about as far",
)
PARAMETERS = Change(
    "`topk` and `bottomk` of less than one series are empty, whatever their argument; 2.x refused"
    " -Inf and faults of the argument. NaN is refused even if there is nothing to choose from.",
    f"{_ISSUE}16404",
    "kept out: no parameter of NaN or an infinity; less than one of plain selectors only",
)
PREDICTIONS = Change(
    "`predict_linear` of a range with `@`, and `quantile_over_time` with a parameter that moves,"
    " read the same samples at every step of a range query; 2.x moved on.",
    f"{_ISSUE}13559",
    "kept out: no `@` in it",
)
AT = Change(
    "`@` in the parameter of an aggregation holds it still, `@` in the argument does not, and"
    " `offset` goes before `@` in `timestamp`, too; 2.x has each the other way round.",
    "promql/engine.go of 2.42, preprocessExpr and eval of timestamp",
    "kept out: no `@` in these",
)
VALUES = Change(
    "`count_values by` three or five labels keeps them at every step of a range query; 2.x wrote"
    " the label of the values over one of them.",
    "promql/engine.go of 2.42, aggregation: `grouping = append(grouping, valueLabel)`",
    "kept out: one, two or four labels",
)
SUBQUERIES = Change(
    "A subquery of a constant that is shorter than its step and has no step within is empty; 2.x"
    " took the step after it.",
    "promql/engine.go of 2.42, eval of StepInvariantExpr",
    "kept out: no subquery is shorter than its step",
)
PLUS = Change(
    "`timestamp(+x)` is that of the samples of x; to Prometheus a plus sign makes it the query's.",
    "ours",
    "kept out: no plus sign in it",
)
EARLIER = Change(
    "Constant arguments that are wrong (a regular expression of `label_replace`, ...) are refused"
    " when the expression is read, not when it is evaluated.",
    "ours",
    "an error of evaluation may be one of reading, not the other way round",
)

CHANGES: Sequence[Change] = (
    RANGES,
    NEWLINES,
    SMOOTHING,
    EXTRAPOLATION,
    NAMES,
    ATAN2,
    DEVIATIONS,
    FRACTIONS,
    DATES,
    TIES,
    ROUNDING,
    PARAMETERS,
    PREDICTIONS,
    AT,
    VALUES,
    SUBQUERIES,
    PLUS,
    EARLIER,
)


@contextmanager
def extrapolation_of_2() -> Iterator[None]:
    """Our engine with the `rate` and `increase` of Prometheus 2."""
    functions = FUNCTIONS
    assert isinstance(functions, dict)
    ours = {name: functions[name] for name in ("rate", "increase")}
    functions |= {"rate": _counter(is_rate=True), "increase": _counter(is_rate=False)}
    try:
        yield
    finally:
        functions |= ours


def _counter(is_rate: bool) -> Builder:
    def compute(
        windows: Windows, context: Context, parameters: Sequence[Floats]
    ) -> tuple[Floats, Bools]:
        values, present = np.zeros(windows.starts.shape), windows.ends - windows.starts >= 2
        for row, step in zip(*np.nonzero(present), strict=True):
            window = slice(windows.starts[row, step], windows.ends[row, step])
            opens, closes = windows.opens[step], windows.closes[step]
            increase = _increase(windows.times[window], windows.values[window], opens, closes)
            values[row, step] = increase / ((closes - opens) / 1000) if is_rate else increase
        return values, present

    return over_range(compute)


def _increase(times: np.ndarray, values: Floats, opens: int, closes: int) -> float:
    """Prometheus 2.42, `promql/functions.go`, extrapolatedRate."""
    increase = values[-1] - values[0] + values[:-1][values[1:] < values[:-1]].sum()
    to_start, to_end = (times[0] - opens) / 1000, (closes - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    spacing = sampled / (len(times) - 1)
    if increase > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * (values[0] / increase))
    beyond = [gap if gap < spacing * 1.1 else spacing / 2 for gap in (to_start, to_end)]
    return float(increase * ((sampled + sum(beyond)) / sampled))


def table() -> str:
    """All changes as Markdown, for docs/prometheus-2.md."""
    rows = [
        f"| {change.what} | {_linked(change.source)} | {change.handling} |" for change in CHANGES
    ]
    return "\n".join(["| what | said where | in the comparison |", "| --- | --- | --- |", *rows])


def _linked(source: str) -> str:
    return f"[#{source.removeprefix(_ISSUE)}]({source})" if source.startswith(_ISSUE) else source
