"""Which agents report: a synthetic `up{job, instance}` as Prometheus gives for its targets.

An agent is whoever sends the series `forewarn_agent_interval_seconds`; its value is how often the
agent means to report. `up` is 1 with each report and 0 once three of them have failed to come.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from forewarn_collector.store import Batch, LatestColumns, Layout, Matcher, MatchOp
from forewarn_wire import STALE_NAN, Labels, is_stale, labels_from, metric_name, without
from forewarn_wire.labels import METRIC_NAME

INTERVAL_METRIC = "forewarn_agent_interval_seconds"
MISSED_INTERVALS = 3
STALL = 3_000
"""A gap (ms) between two looks that says that the collector stood still or its clock was set."""
RESTART_GRACE = 60_000
"""How long (ms) after a restart an agent may be silent: it may be backing off, after a time-out."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What is known of one agent; times in milliseconds since epoch.

    It counts as down once `expected_by` has passed.
    """

    labels: Labels
    interval: int
    last_report: int
    expected_by: int
    up: bool


@dataclass(frozen=True, slots=True)
class _Reports:
    """Which agents a batch is from: the labels of each one's interval and the last sample of that.

    `grown` is the batch's layout and then a sample of `up` for each agent.
    """

    last_samples: list[tuple[Labels, int]]
    grown: Layout


def known_agents() -> list[Matcher]:
    """The matchers of the series that agents are known by."""
    return [Matcher("__name__", MatchOp.EQUAL, INTERVAL_METRIC)]


class AgentWatch:
    """Keeps when each agent last reported. May be used from several threads."""

    def __init__(self) -> None:
        self._agents: dict[Labels, Agent] = {}
        self._next_zero: dict[Labels, int] = {}
        self._last_look: int | None = None
        # What was found in batches, for those that are laid out alike.
        self._reports: WeakKeyDictionary[Layout, _Reports] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def restore(self, latest: LatestColumns, since: int, now: int) -> None:
        """Take the agents that the store knows from before a restart, of all since a time (ms).

        They count as having reported just now: while the collector was down nobody could. Each
        has `RESTART_GRACE` to find its way back.
        """
        with self._lock:
            for labels, time, value in zip(
                latest.labels, latest.times.tolist(), latest.values.tolist(), strict=True
            ):
                if time < since or is_stale(value):
                    continue
                agent = self._report(labels, value, now)
                grace = max(agent.expected_by, now + RESTART_GRACE)
                self._agents[agent.labels] = replace(agent, expected_by=grace)

    def observe(self, batch: Batch, now: int) -> Batch:
        """Note the agents in an arriving batch and add their `up` samples, at `now`, to it."""
        layout = batch.layout
        reports = self._reports.get(layout) if layout is not None else None
        if reports is None:
            reports = _reports_in(batch)
            if layout is not None:
                self._reports[layout] = reports
        if not reports.last_samples:
            return batch
        samples = []
        with self._lock:
            for labels, last in reports.last_samples:
                seconds = float(batch.values[last])
                if is_stale(seconds):
                    # It said itself that it ends: it is not lost, and neither is its host.
                    samples.append((_up(self._forget(labels)), STALE_NAN))
                else:
                    samples.append((_up(self._report(labels, seconds, now).labels), 1.0))
        grown = reports.grown
        values = np.array([value for _, value in samples], dtype=np.float64)
        return Batch(
            grown.labels,
            grown.rows,
            np.concatenate([batch.times, np.full(len(samples), now, dtype=np.int64)]),
            np.concatenate([batch.values, values]),
            grown if layout is not None else None,
        )

    def overdue(self, now: int) -> Batch | None:
        """The `up` samples of agents that are silent, each once an interval; None if none is due.

        To be asked about once a second. What could not be heard while the collector stood still is
        not held against an agent, and neither is a step of the clock.
        """
        samples = []
        with self._lock:
            gap = 0 if self._last_look is None else now - self._last_look
            self._last_look = now
            if not 0 <= gap <= STALL:
                for labels, agent in self._agents.items():
                    self._agents[labels] = replace(agent, expected_by=agent.expected_by + gap)
            for labels, agent in self._agents.items():
                if now <= agent.expected_by:
                    continue
                self._agents[labels] = replace(agent, up=False)
                if now >= self._next_zero.get(labels, 0):
                    self._next_zero[labels] = now + agent.interval
                    samples.append((_up(labels), 0.0))
        return _with_samples(None, samples, now) if samples else None

    def forget(self, before: int) -> None:
        """Forget the agents whose last report is older than `before` (the store's retention)."""
        with self._lock:
            for labels in [k for k, agent in self._agents.items() if agent.last_report < before]:
                self._forget(labels)

    def agents(self) -> list[Agent]:
        """All agents known."""
        with self._lock:
            return list(self._agents.values())

    def _forget(self, labels: Labels) -> Labels:
        identity = without(labels, ("__name__",))
        self._agents.pop(identity, None)
        self._next_zero.pop(identity, None)
        return identity

    def _report(self, labels: Labels, seconds: float, now: int) -> Agent:
        identity = without(labels, ("__name__",))
        interval = int(min(max(seconds, 1.0), 86_400.0) * 1000) if seconds == seconds else 10_000
        expected_by = now + MISSED_INTERVALS * interval
        agent = Agent(identity, interval, now, expected_by, up=True)
        self._agents[identity] = agent
        self._next_zero.pop(identity, None)
        return agent


def _up(labels: Labels) -> Labels:
    return labels_from((*labels, ("__name__", "up")))


def _reports_in(batch: Batch) -> _Reports:
    found = []
    for row, labels in enumerate(batch.labels):
        # Only labels in capitals sort before the name.
        first = labels[0] if labels else ("", "")
        name = first[1] if first[0] == METRIC_NAME else metric_name(labels)
        if name == INTERVAL_METRIC:
            samples = np.flatnonzero(batch.rows == row)
            if len(samples):
                found.append((labels, int(samples[-1])))
    ups = [(_up(without(labels, (METRIC_NAME,))), 1.0) for labels, _ in found]
    grown = _with_samples(batch, ups, 0) if ups else batch
    return _Reports(found, Layout(grown.labels, grown.rows))


def _with_samples(batch: Batch | None, samples: Iterable[tuple[Labels, float]], now: int) -> Batch:
    """A batch with one more sample, at `now`, for each of the label sets."""
    added = list(samples)
    rows = np.arange(len(added), dtype=np.int64)
    times = np.full(len(added), now, dtype=np.int64)
    values = np.array([value for _, value in added], dtype=np.float64)
    labels = [labels for labels, _ in added]
    if batch is None:
        return Batch(labels, rows, times, values)
    # A sender that sends its own `up` under the same labels keeps its row: labels occur once.
    known = {existing: row for row, existing in enumerate(batch.labels)}
    fresh = [item for item in labels if item not in known]
    places = {item: len(batch.labels) + row for row, item in enumerate(fresh)} | known
    return Batch(
        [*batch.labels, *fresh],
        np.concatenate([batch.rows, np.array([places[item] for item in labels], dtype=np.int64)]),
        np.concatenate([batch.times, times]),
        np.concatenate([batch.values, values]),
    )
