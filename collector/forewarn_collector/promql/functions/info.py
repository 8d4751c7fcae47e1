"""`info`: labels of info metrics, such as `target_info`, added to the series they are about.

Source: prometheus/prometheus `promql/info.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.functions.base import Builder, Compiler
from forewarn_collector.promql.leaves import info_selector
from forewarn_collector.promql.nodes import Call, Expr, Selector
from forewarn_collector.promql.parts import check_size
from forewarn_collector.promql.relabel import Relabelled, relabelled, united
from forewarn_collector.promql.selection import InstantSelector
from forewarn_collector.promql.text import series_text
from forewarn_collector.promql.uniques import unique_columns
from forewarn_collector.promql.values import Bools, Context, Memo, Vector, any_along
from forewarn_collector.store.columns import Ints
from forewarn_collector.store.matching import labels_predicate
from forewarn_wire.labels import METRIC_NAME, Labels, labels_from, metric_name

_IDENTIFYING = ("instance", "job")
"""Labels that tell what a series is about; Prometheus knows no others either."""

NOBODY = -1
"""In place of a group or row: no info series."""


@dataclass(frozen=True, slots=True)
class _Groups:
    """Info series of one metric that are about the same.

    `rows: int64[infos]` are info series group by group, `starts: int64[groups]` where each group
    begins; `of_base: int64[metrics, series]` is the group for each info metric and base series.
    """

    rows: Ints
    starts: Ints
    of_base: Ints


@dataclass(frozen=True, slots=True)
class _Enriched:
    """The labels of each combination of a base series with info series.

    `combinations: int64[1 + metrics, n]` are rows of the base and of each info metric; those that
    the matchers want no sample of are not in `kept: bool[n]`.
    """

    combinations: Ints
    relabelling: Relabelled
    kept: Bools


class _InfoPlan:
    def __init__(self, compiler: Compiler, call: Call) -> None:
        selector = info_selector(call)
        names = [matcher for matcher in selector.matchers if matcher.name == METRIC_NAME]
        data = [matcher for matcher in selector.matchers if matcher.name != METRIC_NAME]
        # Info series are not enriched by themselves, if the call says which ones they are.
        chosen = len(call.arguments) == 1 or _names_metrics(call.arguments[1])
        self._is_info = labels_predicate(names) if chosen else lambda labels: False
        self._wanted = frozenset(matcher.name for matcher in data)
        self._is_optional = labels_predicate(data)(())
        self._base = compiler.vector(call.arguments[0])
        self._infos = InstantSelector(selector)
        self._groups: Memo[_Groups] = Memo(self._grouped)
        self._latest: Memo[list[_Enriched]] = Memo(lambda *labels: [])

    def evaluate(self, context: Context) -> Vector:
        base = self._base.evaluate(context)
        infos = self._infos.timestamps(context)
        groups = self._groups(base.labels, infos.labels)
        chosen = _newest(groups, infos, any_along(base.present, axis=0))
        series, steps = np.nonzero(base.present)
        matches = chosen[groups.of_base[:, series], steps]
        combinations, rows = unique_columns(np.concatenate((series[np.newaxis], matches)))
        enriched = self._enriched(base, infos, combinations)
        check_size(combinations.shape[1], context.steps)
        values = np.zeros((combinations.shape[1], context.steps))
        present = np.zeros(values.shape, dtype=np.bool_)
        values[rows, steps] = base.values[series, steps]
        present[rows, steps] = enriched.kept[rows]
        return united(enriched.relabelling, values, present)

    def _grouped(self, base: Sequence[Labels], infos: Sequence[Labels]) -> _Groups:
        """Find for each base series, by its identifying labels, the info series about it."""
        metrics = sorted({metric_name(labels) for labels in infos})
        about: dict[tuple[str, Labels], list[int]] = {}
        for row, labels in enumerate(infos):
            about.setdefault((metric_name(labels), _identity(labels)), []).append(row)
        of_base = np.full((len(metrics), len(base)), NOBODY, dtype=np.int64)
        rows: list[int] = []
        starts: dict[tuple[str, Labels], int] = {}
        places: list[int] = []
        for series, labels in enumerate(base):
            identity = _identity(labels)
            if not identity or self._is_info(labels):
                continue
            for index, metric in enumerate(metrics):
                key = metric, identity
                if key in about and key not in starts:
                    starts[key] = len(places)
                    places.append(len(rows))
                    rows += about[key]
                of_base[index, series] = starts.get(key, NOBODY)
        return _Groups(np.array(rows, dtype=np.int64), np.array(places, dtype=np.int64), of_base)

    def _enriched(self, base: Vector, infos: Vector, combinations: Ints) -> _Enriched:
        """Labels of combinations; the last ones are kept, since they seldom change."""
        latest = self._latest(base.labels, base.nameless, infos.labels)
        if latest and np.array_equal(latest[0].combinations, combinations):
            return latest[0]
        nameless = base.nameless
        if not isinstance(nameless, bool):
            nameless = nameless[combinations[0]]
        labels: list[Labels] = []
        kept: list[bool] = []
        for row, *matches in combinations.T.tolist():
            own = base.labels[row]
            found = [infos.labels[match] for match in matches if match != NOBODY]
            labels.append(self._joined(own, found))
            kept.append(bool(found) or self._is_optional or self._is_info(own))
        relabelling = relabelled(labels, nameless)
        enriched = _Enriched(combinations, relabelling, np.array(kept, dtype=np.bool_))
        latest[:] = [enriched]
        return enriched

    def _joined(self, own: Labels, infos: Sequence[Labels]) -> Labels:
        added: dict[str, str] = {}
        for info in infos:
            for name, value in info:
                if name == METRIC_NAME or (self._wanted and name not in self._wanted):
                    continue
                if added.setdefault(name, value) != value:
                    raise EvalError(f"conflicting label: {name}")
        return labels_from({**added, **dict(own)}) if added else own


def _names_metrics(node: Expr) -> bool:
    return isinstance(node, Selector) and any(
        matcher.name == METRIC_NAME for matcher in node.matchers
    )


def _identity(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] in _IDENTIFYING)


def _newest(groups: _Groups, infos: Vector, asked: Bools) -> Ints:
    """The info series with the newest sample of each group at each step that is asked for.

    -> int64[groups + 1, steps], `NOBODY` where there is none and all along the last row.
    """
    steps = len(asked)
    chosen = np.full((len(groups.starts) + 1, steps), NOBODY, dtype=np.int64)
    if not len(groups.rows):
        return chosen
    present = infos.present[groups.rows] & asked
    times = np.where(present, infos.values[groups.rows], -np.inf)
    newest = np.maximum.reduceat(times, groups.starts, axis=0)
    sizes = np.diff(groups.starts, append=len(groups.rows))
    is_newest = present & (times == newest[np.repeat(np.arange(len(sizes)), sizes)])
    crowded = np.add.reduceat(is_newest, groups.starts, axis=0, dtype=np.int64) > 1
    if crowded.any():
        group, step = np.argwhere(crowded)[0]
        members = groups.rows[groups.starts[group] :][: sizes[group]]
        first, second = members[is_newest[groups.starts[group] :, step][: sizes[group]]][:2]
        at = round(newest[group, step] * 1000)
        raise EvalError(
            "found duplicate series for info metric: existing "
            f"{series_text(infos.labels[first])} @ {at}, "
            f"new {series_text(infos.labels[second])} @ {at}"
        )
    rows = np.where(is_newest, groups.rows[:, np.newaxis], NOBODY)
    chosen[:-1] = np.maximum.reduceat(rows, groups.starts, axis=0)
    return chosen


INFO: Mapping[str, Builder] = {"info": _InfoPlan}
