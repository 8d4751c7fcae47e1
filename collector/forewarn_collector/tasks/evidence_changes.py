"""What changed on a host shortly before an alert's onset: suspects of being its cause, no more.

Of events those whose type speaks of a change; of series a start or a boot that moved, a unit in
another state, packages, and labels of `*_info` that changed, such as a version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forewarn_collector.store import Matcher, MatchOp, SeriesColumns, SeriesSource
from forewarn_collector.tasks.task_series import INFO
from forewarn_wire import Event, Labels, is_stale
from forewarn_wire.labels import METRIC_NAME

REACH = 3_600_000
"""How long (ms) before the onset a change may be a suspect."""
EVENT_TYPES = (
    "(?i).*(boot|change|config|deploy|install|migrat|package|process_churn|process_exit|"
    "process_start|release|reload|restart|roll_?back|rollout|shutdown|unit|upgrade|update).*"
)
EVENTS = 50
"""How many events are looked at."""

_MOST = 10
_LENGTH = 200
_STARTS = {
    "namedprocess_namegroup_oldest_start_time_seconds",
    "node_boot_time_seconds",
    "process_start_time_seconds",
}
_STATES = {"node_systemd_unit_state"}
_NUMBERS = {
    "apt_autoremove_pending",
    "apt_upgrades_held",
    "apt_upgrades_pending",
    "node_reboot_required",
    "yum_upgrades_pending",
}
_WATCHED = Matcher(METRIC_NAME, MatchOp.REGEX, "|".join(sorted(_STARTS | _STATES | _NUMBERS)))
_INFOS = (
    Matcher(METRIC_NAME, MatchOp.REGEX, ".+_info"),
    # What people do to other tasks changes nothing on the host.
    Matcher(METRIC_NAME, MatchOp.NOT_EQUAL, INFO),
)
_MOST_SERIES = 2_000
_MOST_NEW = 50
_JITTER = 5.0
"""Seconds by which a start may be told differently though nothing started."""
_SILENT = 5 * 60_000
"""How long (ms) a series must be silent to have ended: Prometheus' lookback."""
_NAMES = {"device", "groupname", "name"}
_ASIDE = {METRIC_NAME, "customer", "instance", "job"}


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed at a time (ms)."""

    at: int
    what: str


def changes_before(
    source: SeriesSource,
    events: Sequence[Event],
    host: Sequence[Matcher],
    onset: int,
    apart: Collection[str],
) -> list[dict[str, Any]]:
    """Changes in the time before the onset (ms), the nearest first, as JSON.

    `events` are the host's, `host` finds its series. Metrics of `apart` are no suspects: they are
    what the alert itself is about.
    """
    found = [
        *(Change(event.time, f"{event.type}: {event.body}") for event in events),
        *_moved_values(source, [_WATCHED, *host], onset, apart),
        *_other_labels(source, [*_INFOS, *host], onset, apart),
    ]
    near = sorted(
        (each for each in found if onset - REACH <= each.at <= onset),
        key=lambda each: (onset - each.at, each.what),
    )
    return [
        {"at": each.at, "before": onset - each.at, "what": _short(each.what)}
        for each in near[:_MOST]
    ]


def _moved_values(
    source: SeriesSource, matchers: Sequence[Matcher], onset: int, apart: Collection[str]
) -> Iterator[Change]:
    """The last change of each series whose value tells of one."""
    span = onset - REACH, onset
    _check(source.latest(matchers, *span).labels)
    columns = source.select(matchers, *span)
    # What is no number, such as the end of a series while its host boots, is looked past.
    kept = np.flatnonzero(np.isfinite(columns.values))
    values, times = columns.values[kept], columns.times[kept]
    rows = np.searchsorted(columns.offsets, kept, side="right") - 1
    names = [_metric(labels) for labels in columns.labels]
    least = np.array([_JITTER if name in _STARTS else 0.0 for name in names])
    only_up = np.array([name in _STATES for name in names], dtype=np.bool_)
    with np.errstate(over="ignore"):
        steps = np.diff(values)
    tells = np.where(only_up[rows[1:]], steps, np.abs(steps)) > least[rows[1:]]
    places = np.flatnonzero(tells & (rows[1:] == rows[:-1])) + 1
    last = np.append(np.diff(rows[places]) != 0, True)[: len(places)]
    for place in places[last].tolist():
        row = rows[place]
        if names[row] not in apart:
            what = _told(columns.labels[row], float(values[place - 1]), float(values[place]))
            yield Change(int(times[place]), what)


def _told(labels: Labels, before: float, after: float) -> str:
    given = dict(labels)
    name = given[METRIC_NAME]
    if name == "node_boot_time_seconds":
        return "the host booted"
    if name in _STARTS:
        return f"started: {given.get('groupname') or given.get('job', '')}"
    if name in _STATES:
        return f"unit {given.get('name', '')} became {given.get('state', '')}"
    return f"{_series(labels)}: {before:g} → {after:g}"


def _other_labels(
    source: SeriesSource, matchers: Sequence[Matcher], onset: int, apart: Collection[str]
) -> Iterator[Change]:
    """Series that tell by their labels, and that are new or have become others."""
    start = onset - REACH
    then = source.latest(matchers, start - _SILENT, start)
    now = source.latest(matchers, start, onset)
    _check(now.labels)
    old = {
        labels
        for labels, at, value in zip(then.labels, then.times, then.values, strict=True)
        if start - _SILENT <= at <= start and not is_stale(float(value))
    }
    # A metric that is new as a whole tells of a new exporter, or of a host that was away.
    known = {_metric(labels) for labels in old} - {*apart}
    fresh: list[Labels] = []
    gone: list[tuple[Labels, int]] = []
    for labels, at, value in zip(now.labels, now.times.tolist(), now.values.tolist(), strict=True):
        if _metric(labels) not in known or at < start:
            continue
        if labels not in old:
            fresh.append(labels)
        elif is_stale(value) or at < onset - _SILENT:
            gone.append((labels, at))
    yield from _paired(source.read(fresh[:_MOST_NEW], start, onset), gone)


def _paired(fresh: SeriesColumns, gone: list[tuple[Labels, int]]) -> Iterator[Change]:
    """New series, each in the place of the one that it is most like."""
    for row, labels in enumerate(fresh.labels):
        if fresh.offsets[row] == fresh.offsets[row + 1]:
            continue
        at = int(fresh.times[fresh.offsets[row]])
        alike = [pair for pair in gone if _metric(pair[0]) == _metric(labels)]
        if not alike:
            yield Change(at, f"new: {_series(labels)}")
            continue
        before = max(alike, key=lambda pair: len({*pair[0]} & {*labels}))
        gone.remove(before)
        yield Change(at, _difference(before[0], labels))
    for labels, at in gone:
        yield Change(at, f"ended: {_series(labels)}")


def _difference(before: Labels, after: Labels) -> str:
    old, new = dict(before), dict(after)
    names = sorted(name for name in {*old, *new} if old.get(name, "") != new.get(name, ""))
    told = ", ".join(f"{name} {old.get(name, '')} → {new.get(name, '')}" for name in names)
    which = tuple(pair for pair in after if pair[0] in _NAMES and pair in before)
    return f"{_series(((METRIC_NAME, _metric(after)), *which))}: {told}"


def _check(labels: Sequence[Labels]) -> None:
    if len(labels) > _MOST_SERIES:
        name = _metric(labels[0])
        raise ValueError(f"the host has more than {_MOST_SERIES} series such as {name}")


def _metric(labels: Labels) -> str:
    return next((value for name, value in labels if name == METRIC_NAME), "")


def _series(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in labels if name not in _ASIDE)
    return f"{_metric(labels)}{{{pairs}}}" if pairs else _metric(labels)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"
