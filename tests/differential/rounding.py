"""Whether two answers differ by no more than rounding does: told by nudging the samples.

Prometheus 2 and 3 add in different ways, and we in a third; where nearly everything cancels, or
a comparison or a step of `round` stands on the edge, what is left of a sum is its rounding. An
answer is that unsure if it moves as far when each sample is changed by 1e-13 of the
greatest of its series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from differential.answers import Answer, in_process
from differential.counts import parts_of
from differential.language import COMPARISONS, SETS
from differential.question import Question
from differential.series import Dataset
from support.memory_series import MemorySeries

NUDGE = 1e-13
"""A thousand times what a float64 rounds."""
RUNS = 8
FARTHER = 10
"""How many times farther than the nudged answers a peer's may lie."""
LEAST = 1e-15
"""What is left of 0 and 1 and of times, which are not nudged."""

_EXACT = {
    *COMPARISONS, *SETS, "bool", "on", "ignoring", "group_left", "group_right", "by", "without",
    "offset", "negative offset", "@ start()", "@ end()", "@ time", "[range]", "[range:step]",
    "negation", "min", "max", "count", "group", "count_values", "topk", "bottomk",
    "abs()", "ceil()", "floor()", "round()", "sgn()", "sort()", "sort_desc()", "timestamp()",
    "absent()", "absent_over_time()", "changes()", "resets()", "min_over_time()",
    "max_over_time()", "count_over_time()", "last_over_time()", "present_over_time()", "clamp()",
    "clamp_min()", "clamp_max()", "label_replace()", "label_join()", "vector()", "scalar()",
    "time()", "pi()",
}  # fmt: skip
"""Parts that never round; an expression of these alone is never unsure."""


def _nudged(dataset: Dataset, start: int, seed: int) -> MemorySeries:
    """The dataset, each sample a little more or less.

    Also those of 0, which the rounding of others would make something else in a sum.
    """
    source = MemorySeries()
    for series in dataset.series:
        finite = [abs(value) for _, value in series.samples if math.isfinite(value)]
        size = max(finite, default=0.0) * NUDGE
        # By time, so that metrics of the same values stay alike.
        moved = [
            # A stale marker would be one no longer.
            (start * 1000 + time, value + size * math.sin(time * (0.731 + seed)))
            if math.isfinite(value)
            else (start * 1000 + time, value)
            for time, value in series.samples
        ]
        source.add(dict(series.labels), moved)
    return source


def only_rounding(
    question: Question, ours: Answer, theirs: Answer, dataset: Dataset, start: int
) -> bool:
    """Whether nudged samples move our answer about as far as `theirs` is away."""
    if parts_of(question.expression(start)) <= _EXACT or ours.failed or theirs.failed:
        return False
    nudged = [in_process(_nudged(dataset, start, seed), question, start) for seed in range(RUNS)]
    mine, others = _cells(ours), _cells(theirs)
    runs = [_cells(run) for run in nudged]
    return all(
        _near(mine.get(cell), others.get(cell), [run.get(cell) for run in runs])
        for cell in mine.keys() | others.keys()
    )


def _cells(answer: Answer) -> dict[object, float]:
    return {
        (labels, time): value
        for labels, points in answer.series.items()
        for time, value in points.items()
    }


def _near(ours: float | None, theirs: float | None, nudged: Sequence[float | None]) -> bool:
    if ours is None or theirs is None:
        return ours is theirs or any((value is None) is (theirs is None) for value in nudged)
    if theirs == 0 or not math.isfinite(theirs):
        # The root, the logarithm or the inverse of what is a little above or below 0, or 0.
        kinds = {_kind(value) for value in (ours, *nudged)}
        if len(kinds) > 1 or kinds == {_kind(theirs)}:
            return True
    values = [value for value in nudged if value is not None and math.isfinite(value)]
    if not math.isfinite(ours):
        ours = min(values, key=lambda value: abs(value - theirs), default=ours)
    moved = max((abs(value - ours) for value in values), default=0.0)
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=max(FARTHER * moved, LEAST))


def _kind(value: float | None) -> str:
    """Whether there is a value, which sign it has, whether it is a number."""
    if value is None or math.isnan(value):
        return str(value)
    return f"{'infinite' if math.isinf(value) else 'finite'} {math.copysign(1, value)}"
