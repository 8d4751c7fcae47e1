"""What an answer says beside its values: Prometheus' warnings and infos, in its words.

Source: prometheus/prometheus `util/annotations/annotations.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.text import general_float, quoted
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import Labels

_WARNING = "PromQL warning: "
_INFO = "PromQL info: "

SORT_IN_RANGE = (
    f"{_WARNING}sort is ineffective for range queries since results are always ordered by labels"
)


_THINNED = "samples this old are kept as rows of 5m or 1h"

BETWEEN_ROWS = f"{_INFO}{_THINNED}: between their ends, a value is the first one of its row"
LAST_OF_ROWS = f"{_WARNING}{_THINNED}: of each, the last sample is shown"


def cut_rows(function: str) -> str:
    """A range that begins or ends within a row."""
    return (
        f"{_INFO}{_THINNED}: where a range begins or ends within one, {function} goes by whole rows"
    )


def told_from_rows(function: str) -> str:
    """A function that asks for every sample."""
    return f"{_WARNING}{_THINNED}: {function} is an approximation from them"


@dataclass(slots=True)
class Annotations:
    """Texts collected during an evaluation, each once."""

    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)

    def warn(self, text: str, place: Position | None) -> None:
        """Note what makes the answer doubtful, and the place in the query that it is about."""
        _add(self.warnings, text, place)

    def inform(self, text: str, place: Position | None) -> None:
        """Note what the asker may not have meant."""
        _add(self.infos, text, place)


def _add(texts: list[str], text: str, place: Position | None) -> None:
    placed = f"{text} ({place[0]}:{place[1]})" if place else text
    if placed not in texts:
        texts.append(placed)


@dataclass(frozen=True, slots=True)
class Remarks:
    """Texts about some of a vector's series: `rows: int64[n]`, and `ids: int64[n]` of texts."""

    rows: Ints
    ids: Ints
    texts: Sequence[str]

    def about(self, present: NDArray[np.bool_]) -> Iterator[str]:
        """The texts that hold for series that are there at any step of `bool[series, steps]`."""
        if len(self.rows):
            there = np.logical_or.reduce(present[self.rows], axis=1)
            for index in np.unique(self.ids[there]).tolist():
                yield self.texts[index]


def remarks(remark: Callable[[Labels], str | None]) -> Callable[[Sequence[Labels]], Remarks]:
    """What there is to say of each series, made once for the same series."""

    def of_series(series: Sequence[Labels]) -> Remarks:
        found = [(row, text) for row, labels in enumerate(series) if (text := remark(labels))]
        texts = {text: index for index, text in enumerate(dict.fromkeys(text for _, text in found))}
        return Remarks(
            np.array([row for row, _ in found], dtype=np.int64),
            np.array([texts[text] for _, text in found], dtype=np.int64),
            tuple(texts),
        )

    return of_series


def invalid_quantile(value: float) -> str:
    """A quantile that is none."""
    text = "quantile value should be between 0 and 1, got"
    return f"{_WARNING}{text} {general_float(value)}"


def invalid_quantiles(quantiles: Floats) -> Iterator[str]:
    """The same for each that is none, of `float64[steps]`."""
    wrong = quantiles[~((quantiles >= 0) & (quantiles <= 1))]
    for value in np.unique(wrong).tolist():
        yield invalid_quantile(value)


def invalid_ratio(value: float, capped: float) -> str:
    """A ratio beyond all or nothing."""
    return (
        f"{_WARNING}ratio value should be between -1 and 1, got {general_float(value)}, "
        f"capping to {general_float(capped)}"
    )


def bad_bucket_label(value: str, metric: str) -> str:
    """A series that is no bucket, where buckets are wanted."""
    text = 'bucket label "le" is missing or has a malformed value of'
    return f"{_WARNING}{text} {quoted(value)}{_of_metric(metric)}"


def possible_non_counter(metric: str) -> str:
    """The rate of something that is no counter by its name."""
    return (
        f"{_INFO}metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
        f"{quoted(metric)}"
    )


def forced_monotonicity(
    metric: str, bounds: tuple[float, float], difference: float, samples: int, times: Ints
) -> str:
    """Buckets whose counts fell; `bounds` and `times` (ms) are the least and greatest affected."""
    first, last = (
        datetime.fromtimestamp(int(time) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for time in (times.min(), times.max())
    )
    return (
        f"{_INFO}input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
        f"{_of_metric(metric)}, from buckets {general_float(bounds[0])} to "
        f"{general_float(bounds[1])}, with a max diff of {difference:.2g}, over {samples} samples "
        f"from {first} to {last}"
    )


def _of_metric(metric: str) -> str:
    return f" for metric name {quoted(metric)}" if metric else ""
