"""What changed on a host before an alert's onset, ranked by how shortly before."""

from __future__ import annotations

import pytest

from forewarn_collector.promql import Deadline, compile_query
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.store import Matcher, MatchOp
from forewarn_collector.store.matching import predicate
from forewarn_collector.tasks.evidence import StoreEvidence
from forewarn_collector.tasks.evidence_changes import EVENT_TYPES, changes_before
from forewarn_collector.tasks.evidence_processes import top_processes
from forewarn_wire import STALE_NAN, Event, Severity
from support.alerts import HOUR, MINUTE, T0, alert_of
from support.memory_source import MemorySource

HOST = [Matcher("instance", MatchOp.EQUAL, "a")]


def told(
    source: MemorySource, *events: Event, apart: tuple[str, ...] = ()
) -> list[tuple[int, str]]:
    """How many minutes before the onset each was, and what, in order."""
    found = changes_before(source, events, HOST, T0, apart)
    assert all(each["at"] + each["before"] == T0 for each in found)
    return [(each["before"] // MINUTE, each["what"]) for each in found]


def step(source: MemorySource, series: str, before: float, after: float, minutes: int) -> None:
    """A series that changes its value so many minutes before the onset."""
    change = T0 - minutes * MINUTE
    source.every(series, MINUTE, T0 - 2 * HOUR, change - MINUTE, before)
    source.every(series, MINUTE, change, T0 + HOUR, after)


def event(type_: str, minutes: int, body: str = "") -> Event:
    return Event(T0 - minutes * MINUTE, type_, Severity.INFO, (("instance", "a"),), body, "u")


def test_the_nearest_change_before_the_onset_comes_first() -> None:
    source = MemorySource()
    step(source, 'node_boot_time_seconds{instance="a"}', 1e9, 1.5e9, 7)
    step(source, 'process_start_time_seconds{instance="a",job="app"}', 1e9, 1.5e9, 5)
    step(source, 'apt_upgrades_pending{instance="a",origin="Debian"}', 12, 0, 9)
    for state, before, after in (("active", 1, 0), ("failed", 0, 1)):
        labels = f'instance="a",name="app.service",state="{state}"'
        step(source, f"node_systemd_unit_state{{{labels}}}", before, after, 3)
    assert told(
        source, event("deploy", 4, "app 2.4"), event("deploy", 61), event("x.reload", -1)
    ) == [
        (3, "unit app.service became failed"),
        (4, "deploy: app 2.4"),
        (5, "started: app"),
        (7, "the host booted"),
        (9, 'apt_upgrades_pending{origin="Debian"}: 12 → 0'),
    ]


def test_a_label_that_changed_names_before_and_after() -> None:
    source = MemorySource()
    old, new = (f'app_build_info{{instance="a",version="{v}"}}' for v in ("1.0", "1.1"))
    source.every(old, MINUTE, T0 - 2 * HOUR, T0 - 8 * MINUTE, 1)
    source.every(new, MINUTE, T0 - 7 * MINUTE, T0, 1)
    # An interface that goes down: the old series ends with a marker, a minute ago.
    up, down = (
        f'node_network_info{{device="eth0",instance="a",operstate="{s}"}}' for s in ("up", "down")
    )
    source.every(up, MINUTE, T0 - 2 * HOUR, T0 - 2 * MINUTE, 1)
    source.add(up, (T0 - MINUTE, STALE_NAN))
    source.every(down, MINUTE, T0 - MINUTE, T0, 1)
    # Of another host, and one that is as it was.
    source.every('app_build_info{instance="b",version="9"}', MINUTE, T0 - MINUTE, T0, 1)
    source.every('node_os_info{instance="a",name="Debian"}', MINUTE, T0 - 2 * HOUR, T0, 1)
    # What somebody does to another task of the host is none.
    for state, since in (("open", 2 * HOUR), ("resolved", 4 * MINUTE)):
        task = f'forewarn_task_info{{instance="a",state="{state}",task="FW-1"}}'
        source.every(task, MINUTE, T0 - since, T0, 1)
    assert told(source) == [
        (1, 'node_network_info{device="eth0"}: operstate up → down'),
        (7, "app_build_info: version 1.0 → 1.1"),
    ]


def test_a_series_that_is_new_or_ended_is_named_unless_all_of_it_is_new() -> None:
    source = MemorySource()
    for disk in "ab":
        source.every(f'disk_info{{instance="a",device="{disk}"}}', MINUTE, T0 - 2 * HOUR, T0, 1)
    source.every('disk_info{instance="a",device="c"}', MINUTE, T0 - 4 * MINUTE, T0, 1)
    source.every('other_info{instance="a"}', MINUTE, T0 - 2 * HOUR, T0 - 20 * MINUTE, 1)
    # A new exporter is no change of the host.
    source.every('new_info{instance="a"}', MINUTE, T0 - 4 * MINUTE, T0, 1)
    assert told(source) == [(4, 'new: disk_info{device="c"}'), (20, "ended: other_info")]


def test_a_host_that_was_away_while_it_booted_has_booted() -> None:
    source = MemorySource()
    step(source, 'node_boot_time_seconds{instance="a"}', 1e9, 1.5e9, 7)
    source.add('node_boot_time_seconds{instance="a"}', (T0 - 8 * MINUTE, STALE_NAN))
    assert told(source) == [(7, "the host booted")]


def test_what_the_alert_is_about_and_a_clock_that_is_set_are_no_suspects() -> None:
    source = MemorySource()
    step(source, 'node_reboot_required{instance="a"}', 0, 1, 5)
    # Boot time as computed moves when the clock is set.
    step(source, 'node_boot_time_seconds{instance="a"}', 1e9, 1e9 + 1, 5)
    step(source, 'apt_upgrades_pending{instance="a"}', float("nan"), 3, 5)
    step(source, 'yum_upgrades_pending{instance="a"}', float("-inf"), float("inf"), 5)
    assert told(source, apart=("node_reboot_required",)) == []
    assert told(source) == [(5, "node_reboot_required: 0 → 1")]


def test_of_a_thousand_changes_ten_are_told_each_in_one_short_line() -> None:
    events = [event("deploy", 1 + n % 50, "x\n" * 5_000) for n in range(1_000)]
    found = told(MemorySource(), *events)
    assert len(found) == 10
    assert all(len(what) == 200 and "\n" not in what for _, what in found)


@pytest.mark.parametrize("metric", ["pod_info", "process_start_time_seconds"])
def test_a_host_with_a_great_many_series_that_tell_is_not_read(metric: str) -> None:
    source = MemorySource()
    for n in range(2_001):
        source.add(f'{metric}{{instance="a",pod="{n}"}}', (T0, 1.0))
    with pytest.raises(ValueError, match="more than 2000 series"):
        told(source)


@pytest.mark.parametrize(
    ("kind", "is_change"),
    [
        ("process_start", True), ("deployment", True), ("package_installed", True),
        ("k8s.Config.Changed", True), ("systemd_unit_failed", True), ("boot", True),
        ("log", False), ("http_check_failed", False), ("", False),
    ],
)  # fmt: skip
def test_events_of_change_are_known_by_their_type(kind: str, is_change: bool) -> None:
    assert predicate(Matcher("type", MatchOp.REGEX, EVENT_TYPES))(kind) is is_change


def test_the_processes_that_used_most_come_first() -> None:
    source = MemorySource()
    for host, group, cores, memory in (
        ("a", "db", 2, 5e9),
        ("a", "app", 3, 1e9),
        ("b", "x", 9, 9e9),
    ):
        labels = f'groupname="{group}",instance="{host}"'
        for mode in ("user", "system"):
            # Half of its cores in each mode, over the five minutes before.
            name = f'namedprocess_namegroup_cpu_seconds_total{{{labels},mode="{mode}"}}'
            source.add(name, *((T0 - k * MINUTE, (10 - k) * 60 * cores / 2) for k in range(6)))
        for kind, size in (("resident", memory), ("virtual", 9e12)):
            name = f'namedprocess_namegroup_memory_bytes{{{labels},memtype="{kind}"}}'
            source.add(name, (T0, size))
    found = top_processes(source, 'instance="a"', T0, Deadline())
    assert found["memory"] == [["db", "5000000000"], ["app", "1000000000"]]
    assert [(name, round(float(cores), 6)) for name, cores in found["cpu"]] == [
        ("app", 3),
        ("db", 2),
    ]


def test_of_two_customers_with_a_host_of_one_name_nobody_sees_the_others() -> None:
    source = MemorySource()
    for customer in ("acme", "rival"):
        labels = f'customer="{customer}",instance="a"'
        step(
            source,
            f"node_boot_time_seconds{{{labels}}}",
            1e9,
            1.5e9,
            7 if customer == "acme" else 3,
        )
        source.add(
            f'namedprocess_namegroup_memory_bytes{{{labels},groupname="{customer}",memtype="resident"}}',
            (T0, 1.0),
        )
    asked: list[Matcher] = []

    def events(matchers: object, *_: object) -> list[Event]:
        asked.extend(matchers)  # type: ignore[call-overload]
        return []

    made = AlertingRule("g/R", "R", "g", "r.yml", 1, "x > 1", compile_query("x > 1"))
    alert = alert_of(made, {"instance": "a", "customer": "acme"}, onset=T0)
    (document,) = StoreEvidence(source, events).gather([(made, alert)], T0)
    assert [each["before"] for each in document["changes"]] == [7 * MINUTE]
    assert document["processes"]["memory"] == [["acme", "1"]]
    assert {m.value for m in asked if m.name == "customer"} == {"acme"}
    assert sum(m.name == "customer" for m in asked) == 2
