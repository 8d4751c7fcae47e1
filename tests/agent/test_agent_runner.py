"""Rounds, sources that fail, series that end, reloads, and the loop beneath."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forewarn_agent.loop import SelectorLoop
from forewarn_agent.runner import Agent, until_next_round
from forewarn_agent.settings import AgentConfig, DiskSettings
from forewarn_agent.sources import Loop, Reading, SourceContext, SourceKind
from forewarn_agent.spool import CHANGES, EVENTS, SAMPLES, Spool
from forewarn_wire import Event, Severity, is_stale, labels_from
from support.recorder import recording
from support.waiting import wait_until

NOW = 1_700_000_000_000


class Gauge:
    """A source of one series for each name in `names`."""

    def __init__(self, context: SourceContext, names: list[str]) -> None:
        self.context = context
        self.names = names
        self.trouble: Exception | None = None
        self.started = 0
        self.stopped = 0
        self.loop: Loop | None = None
        self._series = {name: context.series("gauge", {"n": name}) for name in "abc"}

    name = "gauge"

    def start(self, loop: Loop) -> None:
        self.loop = loop
        self.started += 1
        if self.trouble is not None:
            raise self.trouble

    def collect(self, now: int) -> list[Reading]:
        if self.trouble is not None:
            raise self.trouble
        return [(self._series[name], 1.0) for name in self.names]

    def stop(self) -> None:
        self.stopped += 1


class Rig:
    """An agent with sources of the tests, not running."""

    def __init__(self, folder: Path, *kinds: SourceKind, config: AgentConfig | None = None) -> None:
        self.spool = Spool(str(folder / "spool"), 2**30)
        self.spool.open()
        self.config = config or AgentConfig(instance="host")
        self.agent = Agent(self.config, lambda: NOW, self.spool, kinds)
        self.agent.start_sources()

    def round(self) -> dict[str, float]:
        """One round: values by name, with the label `n` or `collector` behind a slash."""
        found = {}
        for series, value in self.agent.collect(NOW):
            labels = dict(series.labels)
            part = labels.get("n") or labels.get("collector")
            found[labels["__name__"] + (f"/{part}" if part else "")] = value
        return found

    def close(self) -> None:
        self.agent.close()
        self.spool.close()


@contextmanager
def rigged(folder: Path, *sources: Gauge) -> Iterator[Rig]:
    kinds = [
        SourceKind(source.name, lambda config: (), lambda context, _, source=source: source)
        for source in sources
    ]
    rig = Rig(folder, *kinds)
    yield rig
    rig.close()


@pytest.fixture
def context() -> SourceContext:
    return SourceContext("host")


def test_a_source_that_fails_costs_its_own_readings_only_and_is_reported(
    tmp_path: Path, context: SourceContext, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = Gauge(context, ["a"]), Gauge(context, ["b"])
    bad.name = "bad"
    with rigged(tmp_path, bad, good) as rig:
        assert rig.round()["node_scrape_collector_success/bad"] == 1
        bad.trouble = RuntimeError("broken")
        for _ in range(3):
            found = rig.round()
        assert found["gauge/a"] == 1
        assert "gauge/b" not in found, "failing is not ending: no stale marker"
        assert found["node_scrape_collector_success/bad"] == 0
        assert found["node_scrape_collector_success/gauge"] == 1
        assert found["node_scrape_collector_duration_seconds/gauge"] >= 0
        assert caplog.text.count("source bad failed") == 1
        bad.trouble = None
        assert rig.round()["gauge/b"] == 1


def test_a_source_that_this_host_cannot_have_is_reported_as_failing(
    tmp_path: Path, context: SourceContext
) -> None:
    absent = Gauge(context, ["a"])
    absent.trouble = FileNotFoundError(2, "No such file", "/proc/pressure/cpu")
    with rigged(tmp_path, absent) as rig:
        assert rig.round()["node_scrape_collector_success/gauge"] == 0


def test_a_series_that_ends_is_marked_stale_once(tmp_path: Path, context: SourceContext) -> None:
    source = Gauge(context, ["a", "b"])
    with rigged(tmp_path, source) as rig:
        rig.round()
        source.names = ["a"]
        assert is_stale(rig.round()["gauge/b"])
        assert "gauge/b" not in rig.round()
        source.names = ["b", "a"]
        assert rig.round()["gauge/b"] == 1


def test_the_agent_tells_its_interval_and_itself(tmp_path: Path) -> None:
    with rigged(tmp_path) as rig:
        found = rig.round()
    assert found["forewarn_agent_interval_seconds"] == 10
    assert found["forewarn_agent_info"] == 1
    assert found["forewarn_agent_config_last_reload_successful"] == 1
    assert found["process_resident_memory_bytes"] > 1e6
    assert found["process_cpu_seconds_total"] > 0
    # The kernel counts hundredths of a second; more digits would be noise.
    assert found["process_cpu_seconds_total"] == round(found["process_cpu_seconds_total"], 2)
    assert "forewarn_agent_clock_offset_seconds" not in found, "unknown until there is an answer"


def test_what_an_event_changes_goes_before_plain_samples(
    tmp_path: Path, context: SourceContext
) -> None:
    source = Gauge(context, ["a"])
    with rigged(tmp_path, source) as rig:
        assert source.loop is not None
        rig.spool.append(SAMPLES, 0, 1, b"plain")
        series = context.series("gauge")
        source.loop.send_now([(series, 1.0)])
        source.loop.send_now([(series, 2.0)])
        labels = labels_from({"job": "log"})
        event = Event(NOW, "log", Severity.ERROR, labels, "body", "uid")
        source.loop.emit([event], {"mark": "1"})
        assert source.loop.marks("ma") == {"mark": "1"}
        kinds, times = [], []
        while entries := rig.spool.next():
            kinds.append(entries[0].kind)
            times.append(entries[0].time)
            rig.spool.acknowledge(entries)
        assert kinds == [EVENTS, CHANGES, CHANGES, SAMPLES]
        assert times[1] != times[2], "two values of a series never share a time"


def test_a_reload_keeps_what_did_not_change(tmp_path: Path) -> None:
    made: dict[str, list[Gauge]] = {"one": [], "two": []}

    def kind(name: str, part: str) -> SourceKind:
        def build(context: SourceContext, _: object) -> Gauge:
            source = Gauge(context, ["a"] if name == "one" else ["b"])
            source.name = name
            made[name].append(source)
            return source

        return SourceKind(name, lambda config: getattr(config, part), build)

    rig = Rig(tmp_path, kind("one", "filesystem"), kind("two", "disk"))
    rig.round()
    rig.agent.reload(rig.config._replace(disk=DiskSettings("^x")))
    assert (len(made["one"]), len(made["two"])) == (1, 2)
    assert made["two"][0].stopped == 1
    assert rig.round()["gauge/b"] == 1, "its series did not end"
    rig.agent.reload(rig.config._replace(disk=DiskSettings("^x"), disabled=frozenset({"two"})))
    found = rig.round()
    assert is_stale(found["gauge/b"])
    assert is_stale(found["node_scrape_collector_success/two"])
    rig.agent.reload(rig.config._replace(interval=2_000))
    assert (len(made["one"]), len(made["two"])) == (2, 3)
    assert rig.round()["forewarn_agent_interval_seconds"] == 2
    rig.close()


def test_a_source_that_cannot_be_made_spares_the_others(tmp_path: Path) -> None:
    def build(context: SourceContext, _: object) -> Gauge:
        raise ImportError("no such library")

    rig = Rig(tmp_path, SourceKind("bad", lambda config: (), build))
    assert rig.round()["forewarn_agent_info"] == 1
    rig.close()


def test_rounds_keep_a_phase_of_their_own_whatever_the_clock_does() -> None:
    for name, interval in itertools.product(("web-1", "web-2", "db"), (1_000, 10_000)):
        phases = set()
        for now in range(NOW, NOW + 60_000, 777):
            wait = until_next_round(now, interval, name)
            assert interval / 2 <= wait <= interval * 1.5
            phases.add((now + wait) % interval)
        assert len(phases) == 1
    hosts = [until_next_round(NOW, 10_000, f"host-{number}") for number in range(1_000)]
    # A fleet of 1,000 spread over ten seconds: no tenth of a second has more than 3 % of it.
    assert max(hosts.count(tick) for tick in set(hosts)) < 30
    assert len({wait // 100 for wait in hosts}) > 90


def test_a_running_agent_sends_rounds_and_ends_in_order(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), 2**30)
    spool.open()
    with recording() as recorder:
        config = AgentConfig(collector=recorder.url, instance="host", interval=1_000)
        agent = Agent(config, lambda: time.time_ns() // 1_000_000, spool)
        thread = threading.Thread(target=agent.run)
        thread.start()
        wait_until("three rounds", lambda: len(recorder.to("/api/v1/write")) >= 3)
        agent.loop.call_soon_threadsafe(agent.stop)
        thread.join(10)
        assert not thread.is_alive()
        rounds = [request.samples() for request in recorder.to("/api/v1/write")]
    first, second, third = rounds[:3]
    orders = [[labels for labels, _, _ in samples] for samples in (second, third)]
    assert orders[0] == orders[1], "the order of series is kept"
    for samples in rounds:
        assert len({time for _, _, time in samples}) == 1
    assert {labels["instance"] for labels, _, _ in first} == {"host"}
    names = {labels["__name__"] for labels, _, _ in first}
    assert {"node_cpu_seconds_total", "node_load1", "node_memory_MemAvailable_bytes"} <= names
    assert not [labels for labels, value, _ in third if math.isnan(value)]
    assert spool.stats().entries == 0
    spool.close()


def test_timers_run_in_order_and_can_be_called_off() -> None:
    loop = SelectorLoop()
    ran: list[str] = []
    loop.call_later(0.02, lambda: ran.append("second"))
    loop.call_later(0.01, lambda: ran.append("first"))
    loop.call_later(0.015, lambda: ran.append("never")).cancel()
    loop.call_later(0.03, loop.stop)
    loop.run()
    loop.close()
    assert ran == ["first", "second"]


def test_a_callback_that_fails_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    loop = SelectorLoop()
    loop.call_later(0, lambda: [][0])
    loop.call_later(0.01, loop.stop)
    loop.run()
    loop.close()
    assert "a callback failed" in caplog.text


def test_a_descriptor_that_a_callback_unwatched_is_not_called() -> None:
    loop = SelectorLoop()
    (first, first_end), (second, second_end) = os.pipe(), os.pipe()
    ran: list[int] = []

    def ready(me: int, other: int) -> None:
        ran.append(me)
        loop.unwatch(me)
        loop.unwatch(other)
        loop.stop()

    loop.watch(first, lambda: ready(first, second))
    loop.watch(second, lambda: ready(second, first))
    os.write(first_end, b"x")
    os.write(second_end, b"x")
    loop.run()
    loop.close()
    assert len(ran) == 1
    for fd in (first, first_end, second, second_end):
        os.close(fd)


def test_calls_from_other_threads_are_all_made() -> None:
    loop = SelectorLoop()
    count = itertools.count(1)
    threads = [
        threading.Thread(
            target=lambda: [loop.call_soon_threadsafe(lambda: next(count)) for _ in range(1_000)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    runner = threading.Thread(target=loop.run)
    runner.start()
    for thread in threads:
        thread.join()
    loop.call_soon_threadsafe(loop.stop)
    runner.join()
    loop.close()
    assert next(count) == 4_001
