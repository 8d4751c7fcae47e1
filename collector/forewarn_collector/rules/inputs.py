"""Whether the input of an alert stopped, and since when what it says is so.

Missing data never resolves a task: before an alert that is no longer in a rule's result counts as
over, the samples behind it are looked at. An input is a selector of the rule's expression (or,
where that reads a recording rule of ours, of that rule's expression). It stopped if series of it
that belong to the alert had samples when the condition was last seen to hold, and have none now.
A series belongs to an alert if they agree on all labels that both have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.store import Floats, Ints, Matcher, MatchOp, SeriesSource
from forewarn_wire import STALE_NAN_BITS, Labels
from forewarn_wire.labels import METRIC_NAME

if TYPE_CHECKING:
    from forewarn_collector.promql import Query

SILENCE = 45_000
"""How long (ms) an input that a range reads must have been silent at least to count as stopped."""
_SILENCE_FACTOR = 2
"""And how many times the longest silence that it had while the condition held."""


@dataclass(frozen=True, slots=True)
class Input:
    """A selector that a rule depends on. Times in ms; `range` 0 means an instant selector.

    `at` is a fixed time of evaluation, if the selector has one. `renamed` are labels that a
    recording rule in between sets, by which nothing can be compared.
    """

    matchers: tuple[Matcher, ...]
    range: int
    offset: int
    at: int | None
    renamed: frozenset[str]


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
        name = _metric(selector.matchers)
        if name in recording and name not in above:
            for rule in recording[name]:
                yield from _inputs(rule.query, recording, renamed | {*rule.labels}, above | {name})
            continue
        at = selector.at if isinstance(selector.at, int) else None
        matchers = tuple(selector.matchers)
        yield Input(matchers, selector.range or 0, selector.offset, at, renamed)


def _metric(matchers: Sequence[Matcher]) -> str:
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL:
            return matcher.value
    return ""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the series of one input that belong to one alert have in its window.

    `series`: how many there are, with samples or not. `samples`: how many the fullest has, series
    that ended left out. `newest`: the time (ms) of the last. `silence`: the longest gap (ms).
    """

    series: int = 0
    samples: int = 0
    newest: int | None = None
    silence: int = 0


class RuleInputs:
    """The inputs of one rule, with what is remembered of them from one evaluation to the next."""

    def __init__(self, inputs: Sequence[Input], source: SeriesSource, lookback: int) -> None:
        """`lookback` (ms) is how long a sample counts for an instant selector."""
        self._inputs = inputs
        self._source = source
        self._lookback = lookback
        self._indices = [_SeriesIndex() for _ in inputs]
        self._then: dict[tuple[Labels, int], list[_Facts]] = {}
        self._asked: dict[tuple[Labels, int], list[_Facts]] = {}

    def at(self, time: int) -> InputsAt:
        """The inputs as an evaluation at `time` finds them."""
        # What the last evaluation did not ask for belongs to alerts that are gone.
        self._then, self._asked = self._asked, {}
        return InputsAt(self, time)

    def facts_then(self, alert: Alert) -> list[_Facts]:
        """The facts, by input, of when the alert's condition was last seen to hold."""
        key = alert.labels, alert.evaluated_at
        found = self._then.get(key)
        if found is None:
            windows = [self.window(position, key[1]) for position in range(len(self._inputs))]
            found = [window.facts(alert.series) for window in windows]
        self._asked[key] = found
        return found

    def window(self, position: int, time: int) -> _Window:
        """The samples of an input that an evaluation at `time` reads."""
        chosen = self._inputs[position]
        end = (time if chosen.at is None else chosen.at) - chosen.offset
        span = chosen.range or self._lookback
        columns = self._source.select(chosen.matchers, end - span + 1, end)
        index = self._indices[position]
        index.take(columns.labels)
        return _Window(end, columns.times, columns.values, columns.offsets, index, chosen.renamed)

    def __len__(self) -> int:
        return len(self._inputs)

    def range_of(self, position: int) -> int:
        """The range (ms) of an input; 0 for an instant selector."""
        return self._inputs[position].range


class InputsAt:
    """The inputs of a rule at one evaluation; each is read at most once, when first needed."""

    def __init__(self, inputs: RuleInputs, time: int) -> None:
        self._inputs = inputs
        self._time = time
        self._windows: dict[int, _Window] = {}

    def missing(self, alert: Alert) -> bool:
        """Whether an input of this alert stopped, so that nothing is known of it now."""
        then = self._inputs.facts_then(alert)
        return any(self._stopped(position, alert, facts) for position, facts in enumerate(then))

    def onset(self, series: Labels, at: int) -> int:
        """The own time of the newest sample behind an element; `at` where there is none."""
        found = [self._window(each).facts(series).newest for each in range(len(self._inputs))]
        return min(at, max((time for time in found if time is not None), default=at))

    def _stopped(self, position: int, alert: Alert, then: _Facts) -> bool:
        if not then.samples:
            # It had no part in the alert while that held: that it is absent explains nothing.
            return False
        window = self._window(position)
        now = window.facts(alert.series)
        if not now.series:
            return False
        if now.newest is None or not now.samples:
            return True
        if not self._inputs.range_of(position) or then.samples < 2:
            return False
        # A range still holds old samples for a while after its input stopped, and its rate falls
        # meanwhile; and a rate cannot be told again before there are two samples.
        allowed = max(SILENCE, _SILENCE_FACTOR * then.silence)
        return now.samples < 2 or window.end - now.newest > allowed

    def _window(self, position: int) -> _Window:
        if position not in self._windows:
            self._windows[position] = self._inputs.window(position, self._time)
        return self._windows[position]


@dataclass(frozen=True, slots=True)
class _Window:
    """Samples up to `end`, series by series: see `SeriesColumns`."""

    end: int
    times: Ints
    values: Floats
    offsets: Ints
    index: _SeriesIndex
    renamed: frozenset[str]

    def facts(self, series: Labels) -> _Facts:
        """What the series that belong to this alert have."""
        rows = self.index.rows(series, self.renamed)
        samples, silence = 0, 0
        newest: int | None = None
        for row in rows:
            start, end = int(self.offsets[row]), int(self.offsets[row + 1])
            if start == end or _is_stale(self.values[end - 1 : end]):
                continue
            times = self.times[start:end]
            samples = max(samples, end - start)
            newest = max(newest or 0, int(times[-1]))
            if end - start > 1:
                silence = max(silence, int(np.diff(times).max()))
        return _Facts(len(rows), samples, newest, silence)


def _is_stale(values: Floats) -> bool:
    return bool(values.view(np.int64)[0] == STALE_NAN_BITS)


class _SeriesIndex:
    """Finds the series that agree with a label set on all labels that both have."""

    def __init__(self) -> None:
        self._labels: Sequence[Labels] = ()
        self._by_names: dict[tuple[str, ...], list[tuple[_Names, dict[_Values, list[int]]]]] = {}

    def take(self, labels: Sequence[Labels]) -> None:
        """Index these series; the same sequence again costs nothing."""
        if labels is not self._labels:
            self._labels = labels
            self._by_names = {}

    def rows(self, series: Labels, renamed: frozenset[str]) -> list[int]:
        """The positions of the series that agree."""
        wanted = {name: value for name, value in series if name not in renamed}
        names = tuple(wanted)
        if names not in self._by_names:
            self._by_names[names] = self._grouped(frozenset(names))
        found: list[int] = []
        for shared, rows in self._by_names[names]:
            found += rows.get(tuple(wanted[name] for name in shared), ())
        return found

    def _grouped(self, names: frozenset[str]) -> list[tuple[_Names, dict[_Values, list[int]]]]:
        """The rows by which of the names they have, and by these labels' values."""
        groups: dict[_Names, dict[_Values, list[int]]] = {}
        for row, labels in enumerate(self._labels):
            pairs = [pair for pair in labels if pair[0] in names]
            shared = tuple(name for name, _ in pairs)
            values = tuple(value for _, value in pairs)
            groups.setdefault(shared, {}).setdefault(values, []).append(row)
        return list(groups.items())


_Names = tuple[str, ...]
_Values = tuple[str, ...]
