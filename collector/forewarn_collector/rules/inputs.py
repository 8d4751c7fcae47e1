"""Whether the input of an alert stopped, and since when what it says is so.

Missing data never resolves a task: before an alert that is no longer in a rule's result counts as
over, the samples behind it are looked at. An input is a selector of the rule's expression (or,
where that reads a recording rule of ours, of that rule's expression). It stopped if series of it
that belong to the alert had samples when the condition was last seen to hold, and have none now.
A series belongs to an alert if they agree on all labels that both have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from forewarn_collector.rules.alert_series import ALERT_METRICS, ALERT_STATE, ALERTS
from forewarn_collector.rules.alerts import Alert, AlertState
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.store import (
    LatestColumns,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesLabels,
    SeriesSource,
)
from forewarn_collector.store.matching import metric_of, predicate
from forewarn_wire import Labels, is_stale

if TYPE_CHECKING:
    from forewarn_collector.promql import Query

SILENCE = 45_000
"""How long (ms) an input that a range reads must have been silent at least to count as stopped."""
_SILENCE_FACTOR = 2
"""And how many times the longest silence that it had while the condition held."""
_SINGLY = 64
"""How many alerts' samples are read one by one before those of the whole input are."""


class InputKind(Enum):
    """What the series of an input tell.

    Series of `ALERTS` that end say that alerts did: only if they stop without an end is nothing
    known. Those of `DOUBTS` show alerts that are unknown: if one has become so since, it is the
    reason why it no longer fires.
    """

    SAMPLES = auto()
    ALERTS = auto()
    DOUBTS = auto()


@dataclass(frozen=True, slots=True)
class Input:
    """A selector that a rule depends on. Times in ms; `range` 0 means an instant selector.

    `at` is a fixed time of evaluation, if the selector has one. `renamed` are labels that a
    recording rule in between sets, by which nothing can be compared. `kind` says what its series
    tell by being there or not.
    """

    matchers: tuple[Matcher, ...]
    range: int
    offset: int
    at: int | None
    renamed: frozenset[str]
    kind: InputKind = InputKind.SAMPLES


def inputs_of(query: Query, recording: Mapping[str, Sequence[RecordingRule]]) -> list[Input]:
    """The inputs of an expression, through our recording rules down to what arrives.

    Selectors below `absent` or on the right of `unless` are none: that these have no samples is
    what such a rule waits for.
    """
    return list(dict.fromkeys(_inputs(query, recording, frozenset(), frozenset())))


def _inputs(
    query: Query,
    recording: Mapping[str, Sequence[RecordingRule]],
    renamed: frozenset[str],
    above: frozenset[str],
) -> Iterator[Input]:
    for selector in query.selectors:
        if selector.negated:
            continue
        name = metric_of(selector.matchers)
        if name in recording and name not in above:
            for rule in recording[name]:
                yield from _inputs(rule.query, recording, renamed | {*rule.labels}, above | {name})
            continue
        at = selector.at if isinstance(selector.at, int) else None
        matchers = tuple(selector.matchers)
        kind = InputKind.ALERTS if name in ALERT_METRICS else InputKind.SAMPLES
        yield Input(matchers, selector.range or 0, selector.offset, at, renamed, kind)
        if name == ALERTS and _only_firing(matchers):
            unknown = Matcher(ALERT_STATE, MatchOp.EQUAL, AlertState.UNKNOWN)
            others = (matcher for matcher in matchers if matcher.name != ALERT_STATE)
            renamed_too = renamed | {ALERT_STATE}
            yield Input((*others, unknown), 0, selector.offset, at, renamed_too, InputKind.DOUBTS)


def _only_firing(matchers: Sequence[Matcher]) -> bool:
    """Whether a selector of `ALERTS` loses an alert that was firing and is unknown."""
    tests = [predicate(matcher) for matcher in matchers if matcher.name == ALERT_STATE]
    firing, unknown = (
        all(test(state) for test in tests) for state in (AlertState.FIRING, AlertState.UNKNOWN)
    )
    return firing and not unknown


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the series of one input that belong to one alert have in its window.

    `samples`: how many the fullest has, series that ended left out. `silence`: the longest gap (ms)
    between two samples of one.
    """

    samples: int = 0
    silence: int = 0


class RuleInputs:
    """The inputs of one rule, with what is remembered of them from one evaluation to the next."""

    def __init__(self, inputs: Sequence[Input], source: SeriesSource, lookback: int) -> None:
        """`lookback` (ms) is how long a sample counts for an instant selector."""
        self._inputs = inputs
        self._source = source
        self._lookback = lookback
        self._indices = [SeriesIndex() for _ in inputs]
        self._then: dict[tuple[Labels, int, int], _Facts] = {}
        self._asked: dict[tuple[Labels, int, int], _Facts] = {}
        self._past: dict[tuple[int, int], _Window] = {}

    def at(self, time: int) -> InputsAt:
        """The inputs as an evaluation at `time` finds them."""
        # What the last evaluation did not ask for belongs to alerts that are gone or well.
        self._then, self._asked = self._asked, {}
        self._past = {}
        return InputsAt(self, [self._window(place, time) for place in range(len(self._inputs))])

    def next_samples(self, alerts: Sequence[Alert], after: int, until: int) -> int | None:
        """The first time after `after` at which any has a new sample; None up to `until` (ms).

        Until then nothing changes in whether an input of these alerts stopped that has.
        """
        found: list[int] = []
        for chosen, index in zip(self._inputs, self._indices, strict=True):
            if chosen.at is not None:
                continue
            # A sample that an offset looks ahead to is there when it has arrived, not before.
            offset = max(chosen.offset, 0)
            columns = self._source.select(chosen.matchers, after + 1 - offset, until - offset)
            index.take(columns.labels)
            filled = np.diff(columns.offsets) > 0
            for row in {row for each in alerts for row in index.rows(each.series, chosen.renamed)}:
                if filled[row]:
                    found.append(int(columns.times[columns.offsets[row]]) + offset)
        return min(found, default=None)

    def facts_then(self, position: int, alert: Alert) -> _Facts:
        """The facts of an input when the alert's condition was last seen to hold."""
        key = alert.labels, alert.evaluated_at, position
        found = self._then.get(key)
        if found is None:
            found = self.window_then(position, alert).facts(alert.series)
        self._asked[key] = found
        return found

    def window_then(self, position: int, alert: Alert) -> _Window:
        """The samples of an input when the alert's condition was last seen to hold."""
        place = position, alert.evaluated_at
        if place not in self._past:
            self._past[place] = self._window(*place)
        return self._past[place]

    def _window(self, position: int, time: int) -> _Window:
        chosen, index = self._inputs[position], self._indices[position]
        return _Window(chosen, index, self._source, self._lookback, time)


class InputsAt:
    """The inputs of a rule at one evaluation; each is read when it is first needed."""

    def __init__(self, inputs: RuleInputs, windows: Sequence[_Window]) -> None:
        self._inputs = inputs
        self._windows = windows

    def missing(self, alert: Alert) -> bool:
        """Whether an input of this alert stopped, so that nothing is known of it now."""
        return any(self._stopped(position, alert) for position in range(len(self._windows)))

    def onset(self, series: Labels, at: int) -> int:
        """The own time of the newest sample behind an element; `at` where there is none."""
        found = [
            window.newest(series) for window in self._windows if window.kind is not InputKind.DOUBTS
        ]
        return min(at, max((time for time in found if time is not None), default=at))

    def _stopped(self, position: int, alert: Alert) -> bool:
        # What was, is asked last: as a rule the input goes on, and that settles it.
        window = self._windows[position]
        if not window.rows(alert.series):
            return False
        if window.kind is InputKind.DOUBTS:
            past = self._inputs.window_then(position, alert)
            return not window.live(alert.series) <= past.live(alert.series)
        newest = window.newest(alert.series)
        if newest is None and window.kind is InputKind.ALERTS and window.ended(alert.series):
            return False
        if newest is None:
            # If it had no part in the alert while that held, that it is absent explains nothing.
            return self._inputs.facts_then(position, alert).samples > 0
        if not window.range:
            return False
        # A range still holds old samples for a while after its input stopped, and its rate falls
        # meanwhile; and a rate cannot be told again before there are two samples.
        silent = window.end - newest
        enough = window.facts(alert.series).samples > 1
        if enough and silent <= SILENCE:
            return False
        then = self._inputs.facts_then(position, alert)
        if then.samples < 2:
            return False
        return not enough or silent > max(SILENCE, _SILENCE_FACTOR * then.silence)


class _Window:
    """The samples of an input that an evaluation at `time` reads."""

    def __init__(
        self, chosen: Input, index: SeriesIndex, source: SeriesSource, lookback: int, time: int
    ) -> None:
        self.kind = chosen.kind
        self.range = chosen.range
        self.end = (time if chosen.at is None else chosen.at) - chosen.offset
        self._start = self.end - (chosen.range or lookback) + 1
        self._chosen = chosen
        self._index = index
        self._source = source
        self._latest: LatestColumns | None = None
        self._whole: SeriesColumns | None = None
        self._asked = 0

    def rows(self, series: Labels) -> Sequence[int]:
        """The positions of the series of the input that belong to an element."""
        self._newest_samples()
        return self._index.rows(series, self._chosen.renamed)

    def newest(self, series: Labels) -> int | None:
        """The time of the newest sample, of series that have not ended; None if there is none."""
        times = self._newest_samples().times
        return max((int(times[row]) for row in self._live_rows(series)), default=None)

    def live(self, series: Labels) -> AbstractSet[Labels]:
        """The series that belong to an element and have a sample, but no end after it."""
        labels = self._newest_samples().labels
        return {labels[row] for row in self._live_rows(series)}

    def ended(self, series: Labels) -> bool:
        """Whether a series that belongs to an element has ended."""
        latest = self._newest_samples()
        return any(
            latest.times[row] >= self._start and is_stale(float(latest.values[row]))
            for row in self.rows(series)
        )

    def _live_rows(self, series: Labels) -> list[int]:
        latest = self._newest_samples()
        return [
            row
            for row in self.rows(series)
            if latest.times[row] >= self._start and not is_stale(float(latest.values[row]))
        ]

    def facts(self, series: Labels) -> _Facts:
        """The facts of the series that belong to an element, of those that `rows` would find."""
        labels, rows = self._index.labels, self._index.rows(series, self._chosen.renamed)
        self._asked += 1
        if self._asked > _SINGLY and self._whole is None:
            self._whole = self._source.select(self._chosen.matchers, self._start, self.end)
        if self._whole is not None and self._whole.labels is labels:
            return _facts(self._whole, rows)
        found = self._source.read([labels[row] for row in rows], self._start, self.end)
        return _facts(found, range(len(found.labels)))

    def _newest_samples(self) -> LatestColumns:
        if self._latest is None:
            self._latest = self._source.latest(self._chosen.matchers, self._start, self.end)
            self._index.take(self._latest.labels)
        return self._latest


def _facts(columns: SeriesColumns, rows: Sequence[int]) -> _Facts:
    samples, silence = 0, 0
    for row in rows:
        start, end = int(columns.offsets[row]), int(columns.offsets[row + 1])
        if start == end or is_stale(float(columns.values[end - 1])):
            continue
        samples = max(samples, end - start)
        if end - start > 1:
            silence = max(silence, int(np.diff(columns.times[start:end]).max()))
    return _Facts(samples, silence)


class SeriesIndex:
    """Finds the series that agree with a label set on all labels that both have."""

    def __init__(self) -> None:
        self.labels = SeriesLabels()
        # By the names that are asked for: by which of these a series has, the rows by values.
        self._by_names: dict[_Names, dict[_Names, dict[_Values, list[int]]]] = {}

    def take(self, labels: SeriesLabels) -> None:
        """Index these series; the same ones again cost nothing, more of them what is more."""
        if labels is self.labels:
            return
        if labels.continues(self.labels):
            for names, groups in self._by_names.items():
                _group(labels, len(self.labels), frozenset(names), groups)
        else:
            self._by_names = {}
        self.labels = labels

    def rows(self, series: Labels, renamed: frozenset[str]) -> list[int]:
        """The positions of the series that agree."""
        wanted = {name: value for name, value in series if name not in renamed}
        names = tuple(wanted)
        if names not in self._by_names:
            self._by_names[names] = {}
            _group(self.labels, 0, frozenset(names), self._by_names[names])
        found: list[int] = []
        for shared, rows in self._by_names[names].items():
            found += rows.get(tuple(wanted[name] for name in shared), ())
        return found


def _group(
    labels: SeriesLabels,
    first: int,
    names: frozenset[str],
    groups: dict[_Names, dict[_Values, list[int]]],
) -> None:
    """Group rows from the first on by which of the names they have, and by these labels' values."""
    for row in range(first, len(labels)):
        pairs = [pair for pair in labels[row] if pair[0] in names]
        shared = tuple(name for name, _ in pairs)
        values = tuple(value for _, value in pairs)
        groups.setdefault(shared, {}).setdefault(values, []).append(row)


_Names = tuple[str, ...]
_Values = tuple[str, ...]
