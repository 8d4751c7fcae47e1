"""`up` says which agents report; expected values follow from the intervals by hand."""

from __future__ import annotations

import numpy as np

from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.store import Batch, SeriesColumns
from forewarn_wire import STALE_NAN, Labels, is_stale, labels_from

NAME = "forewarn_agent_interval_seconds"


def batch(*samples: tuple[Labels, float]) -> Batch:
    count = len(samples)
    return Batch(
        [labels for labels, _ in samples],
        np.arange(count),
        np.full(count, 1_000),
        np.array([value for _, value in samples]),
    )


def agent(instance: str) -> Labels:
    return labels_from({"__name__": NAME, "job": "node", "instance": instance})


def up(instance: str) -> Labels:
    return labels_from({"__name__": "up", "job": "node", "instance": instance})


def rows(found: Batch | None) -> list[tuple[Labels, int, float]]:
    assert found is not None
    return [
        (found.labels[row], int(time), float(value))
        for row, time, value in zip(found.rows, found.times, found.values, strict=True)
    ]


def test_a_report_adds_up_at_the_collectors_own_time() -> None:
    watch = AgentWatch()
    found = watch.observe(batch((agent("a"), 10.0)), 5_000)
    assert rows(found)[-1] == (up("a"), 5_000, 1.0)


def test_a_batch_of_another_sender_is_left_as_it_is() -> None:
    other = batch((labels_from({"__name__": "x"}), 1.0))
    assert AgentWatch().observe(other, 5_000) is other


def test_an_agent_is_down_after_three_missed_intervals_and_told_once_an_interval() -> None:
    watch = AgentWatch()
    watch.observe(batch((agent("a"), 10.0)), 0)
    assert watch.overdue(30_000) is None
    assert rows(watch.overdue(30_001)) == [(up("a"), 30_001, 0.0)]
    assert watch.overdue(31_000) is None
    assert rows(watch.overdue(40_001)) == [(up("a"), 40_001, 0.0)]


def test_a_collector_that_stood_still_blames_no_agent() -> None:
    watch = AgentWatch()
    watch.observe(batch((agent("a"), 1.0)), 0)
    assert watch.overdue(1_000) is None
    assert watch.overdue(61_000) is None  # a minute in which nobody could be heard
    assert watch.overdue(63_000) is None
    assert rows(watch.overdue(63_001)) == [(up("a"), 63_001, 0.0)]


def test_a_clock_that_is_set_back_delays_the_news_of_a_lost_agent_no_further() -> None:
    watch = AgentWatch()
    watch.observe(batch((agent("a"), 1.0)), 3_600_000)
    assert watch.overdue(3_601_000) is None
    assert watch.overdue(1_000) is None
    assert watch.overdue(3_000) is None
    assert rows(watch.overdue(3_001)) == [(up("a"), 3_001, 0.0)]


def test_an_agent_that_comes_back_is_up_at_once() -> None:
    watch = AgentWatch()
    watch.observe(batch((agent("a"), 10.0)), 0)
    watch.overdue(60_000)
    assert rows(watch.observe(batch((agent("a"), 10.0)), 61_000))[-1] == (up("a"), 61_000, 1.0)
    assert watch.overdue(62_000) is None


def test_a_sender_that_sends_its_own_up_keeps_one_series_of_it() -> None:
    watch = AgentWatch()
    found = watch.observe(batch((agent("a"), 10.0), (up("a"), 1.0)), 5_000)
    assert list(found.labels).count(up("a")) == 1
    assert [value for labels, _, value in rows(found) if labels == up("a")] == [1.0, 1.0]


def test_an_agent_that_says_that_it_ends_is_not_lost() -> None:
    watch = AgentWatch()
    watch.observe(batch((agent("a"), 10.0)), 0)
    found = rows(watch.observe(batch((agent("a"), STALE_NAN)), 5_000))
    assert found[-1][:2] == (up("a"), 5_000)
    assert is_stale(found[-1][2])
    assert watch.overdue(60_000) is None


def test_after_a_restart_every_known_agent_has_a_minute_to_come_back() -> None:
    watch = AgentWatch()
    columns = SeriesColumns(
        [agent("a"), agent("gone")], np.array([1_000]), np.array([10.0]), np.array([0, 1, 1])
    )
    watch.restore(columns.latest(), 0, 100_000)
    assert [known.labels for known in watch.agents()] == [
        labels_from({"job": "node", "instance": "a"})
    ]
    assert watch.overdue(160_000) is None
    assert rows(watch.overdue(160_001)) == [(up("a"), 160_001, 0.0)]


def test_an_agent_that_came_back_after_a_restart_is_expected_as_usual_again() -> None:
    watch = AgentWatch()
    known = SeriesColumns([agent("a")], np.array([1_000]), np.array([10.0]), np.array([0, 1]))
    watch.restore(known.latest(), 0, 100_000)
    watch.observe(batch((agent("a"), 10.0)), 105_000)
    assert watch.overdue(135_000) is None
    assert rows(watch.overdue(135_001)) == [(up("a"), 135_001, 0.0)]


def test_an_agent_without_a_report_for_the_whole_retention_is_forgotten() -> None:
    watch = AgentWatch()
    watch.observe(batch((agent("a"), 10.0)), 0)
    watch.forget(1)
    assert watch.agents() == []
