"""When two answers are the same, or differ as is documented."""

from __future__ import annotations

import math
import re

from differential import changes
from differential.answers import Answer, in_process
from differential.changes import Change
from differential.question import Question
from differential.rounding import only_rounding
from differential.series import Dataset
from forewarn_collector.store import SeriesSource

RELATIVE = 1e-9
"""How far two values may be apart, as a share of the greater one."""

_SORTED = re.compile(r"(sort|sort_desc|topk|bottomk)\b(?! (by|without))")
_RANKED = re.compile(r"(topk|bottomk)\b")


def same_value(ours: float, theirs: float) -> bool:
    """Equal to `RELATIVE`; NaN equals NaN, an infinity only itself, -0.0 equals 0.0."""
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return math.isclose(ours, theirs, rel_tol=RELATIVE)


def difference(ours: Answer, theirs: Answer) -> str | None:
    """The first difference in words, or None. Orders are not looked at."""
    if ours.failed or theirs.failed:
        return None if ours.kind == theirs.kind else "one fails, or they fail in different ways"
    if ours.kind != theirs.kind:
        return "types differ"
    if ours.text != theirs.text:
        return "strings differ"
    for labels in theirs.series.keys() - ours.series.keys():
        return f"ours lacks {dict(labels)}"
    for labels in ours.series.keys() - theirs.series.keys():
        return f"ours has also {dict(labels)}"
    for labels, points in theirs.series.items():
        mine = ours.series[labels]
        if mine.keys() != points.keys():
            return f"the times of {dict(labels)} differ"
        for time, value in points.items():
            if not same_value(mine[time], value):
                return f"{dict(labels)} at {time / 1000:.3f}: {mine[time]!r}, not {value!r}"
    return None


def out_of_order(question: Question, ours: Answer, theirs: Answer) -> str | None:
    """Whether values that are sorted are listed in another order."""
    ordered = not question.step and _SORTED.match(question.text)
    if ordered and not _same_values(ours.order, theirs.order):
        return f"the order differs: {ours.order}, not {theirs.order}"
    return None


def documented(
    question: Question,
    ours: Answer,
    theirs: Answer,
    source: SeriesSource,
    dataset: Dataset,
    start: int,
) -> Change | None:
    """The change from Prometheus 2 to 3 that makes answers differ, if there is one."""
    if theirs.failed:
        if (ours.kind, theirs.kind) == ("bad_data", "execution"):
            return changes.EARLIER
        same_twice = "vector cannot contain metrics with the same labelset" in theirs.text
        return changes.NAMES if same_twice and not ours.failed else None
    if _RANKED.match(question.text) and _same_values_at_each_step(ours, theirs):
        return changes.TIES
    if re.search(r"\b(rate|increase)\(", question.text):
        with changes.extrapolation_of_2():
            as_theirs = in_process(source, question, start)
            alike = difference(as_theirs, theirs) is None
            if alike or only_rounding(question, as_theirs, theirs, dataset, start):
                return changes.EXTRAPOLATION
    return changes.ROUNDING if only_rounding(question, ours, theirs, dataset, start) else None


def _same_values(ours: list[float], theirs: list[float]) -> bool:
    return len(ours) == len(theirs) and all(map(same_value, ours, theirs))


def _same_values_at_each_step(ours: Answer, theirs: Answer) -> bool:
    mine, others = _by_step(ours), _by_step(theirs)
    return mine.keys() == others.keys() and all(
        _same_values(mine[time], others[time]) for time in mine
    )


def _by_step(answer: Answer) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for points in answer.series.values():
        for time, value in points.items():
            found.setdefault(time, []).append(value)
    return {
        time: sorted(values, key=lambda value: (math.isnan(value), value))
        for time, values in found.items()
    }
