"""A replay finds the very changes of alerts that rules evaluated one instant after another find."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.backtest import Replayed, Sizes, Span, replay
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.model import RuleSet
from forewarn_collector.rules.schedule import Scheduler
from forewarn_wire import STALE_NAN
from support.live_run import Changes, live_run, without_rest
from support.memory_source import MemorySource

START = 1_750_000_000_000
MINUTE = 60_000

RULES = {
    "plain": "{alert: A, expr: 'level > 2'}",
    "pending": "{alert: A, expr: 'level > 2', for: 1m, annotations: {summary: '{{ $value }}'}}",
    "kept": "{alert: A, expr: 'level > 2', for: 30s, keep_firing_for: 90s}",
    "rate": "{alert: A, expr: 'rate(count[2m]) > 0.05', for: 20s, keep_firing_for: 1m}",
    "fire": "{alert: A, expr: 'level > 2', for: 4m, task: {on_missing: fire}}",
    "resolve": "{alert: A, expr: 'level > 2', task: {on_missing: resolve}}",
    "absent": "{alert: A, expr: 'absent(level{i=\"1\"})', for: 1m}",
    "unless": "{alert: A, expr: 'level > 1 unless on (i) count > 5'}",
    "valued": "{alert: A, expr: level, labels: {of: '{{ if gt $value 2.0 }}high{{ end }}'}}",
    "asking": """
      {alert: A, expr: 'level > 2',
       annotations: {summary: '{{ query "sum(level)" | first | value }}'}}""",
    "now": "{alert: A, expr: 'level > 2', annotations: {summary: '{{ now }}'}}",
    "duplicate": "{alert: A, expr: 'level > 2', labels: {i: same}}",
    "joined": "{alert: A, expr: 'count > on () group_left level'}",
    "offset": "{alert: A, expr: 'level offset 1m > 2'}",
    "ahead": "{alert: A, expr: 'level offset -1m > 2'}",
    "fixed": "{alert: A, expr: 'level > level @ 1750000100'}",
    "window": "{alert: A, expr: 'max_over_time(level[90s:20s]) > 2'}",
    "clock": "{alert: A, expr: 'level > 1 and on () vector(time() % 120) > 60'}",
    "recorded": """
      {record: 'all:level', expr: 'sum(level)', labels: {of: all}}
      - {record: 'high', expr: 'level > 2'}
      - {alert: A, expr: 'high', for: 30s}
      - {alert: B, expr: 'all:level > 5 or rate(all:level[1m]) > 0'}
      - {alert: C, expr: 'count_over_time(high[2m]) > 2'}""",
    "twice": """
      {record: both, expr: 'level > 2'}
      - {record: both, expr: 'level <= 1'}
      - {alert: A, expr: 'both > 0', for: 20s}""",
    "one": """
      {record: both, expr: 'level', labels: {i: one}}
      - {alert: A, expr: both > 1}""",
    "circle": """
      {record: up_to, expr: 'down_to + 1 or sum(level)'}
      - {record: down_to, expr: 'up_to / 2'}
      - {alert: A, expr: 'up_to > 2'}""",
    "alerts": """
      {alert: A, expr: 'level > 2', for: 20s}
      - {alert: B, expr: 'count(ALERTS{alertname="A",alertstate="firing"}) > 0', for: 30s}
      - {alert: C, expr: 'time() - ALERTS_FOR_STATE{alertname="A"} > 60'}""",
    "counted": """
      {record: firing, expr: 'count(ALERTS{alertstate="firing"})'}
      - {alert: A, expr: 'level > 1', for: 30s, keep_firing_for: 20s}
      - {alert: B, expr: 'firing > 1', for: 15s}""",
    "mutual": """
      {alert: A, expr: 'level > 2 unless on (i) ALERTS{alertname="B"}', for: 20s}
      - {alert: B, expr: 'count > 5 unless on (i) ALERTS{alertname="A"}', keep_firing_for: 30s}""",
    "own": """
      {alert: A, expr: 'level > 2 or level > 1 and on (i) ALERTS{alertname="A"}'}""",
}
GROUPS = """\
groups:
  - name: first
    interval: {interval}s
    limit: {limit}
    query_offset: {offset}s
    rules:
      - {rules}
  - name: other
    interval: 25s
    rules:
      - {{alert: Other, expr: 'level == 1', for: 15s}}
"""


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, str, float]]:
    """Samples of two metrics of three hosts, each with its own times, gaps and stale markers."""
    found: list[tuple[int, str, float]] = []
    for host in "123":
        step = draw(st.sampled_from([7_000, 15_000, 30_000]))
        # Never the last ms before a round second, when groups may be due: the live run evaluates
        # a rule that is roused by the sample then, and the group only a ms later.
        time = START + 10 * draw(st.integers(-6_000, 2_000))
        for run in draw(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 4)), max_size=6)):
            length, value = run
            for _ in range(length):
                time += step
                found.append((time, f'level{{i="{host}"}}', float(value)))
                found.append((time, f'count{{i="{host}"}}', float(len(found) % 40)))
            ending = draw(st.sampled_from(["", "", "stale", "gap", "long"]))
            if ending == "stale":
                found.append((time + 1_000, f'level{{i="{host}"}}', STALE_NAN))
            time += {"gap": 70_000, "long": 400_000}.get(ending, 0)
    return sorted(found)


def live(
    rules: RuleSet, samples: list[tuple[int, str, float]], end: int
) -> tuple[list[AlertChange], dict[str, int], MemorySource]:
    source, sink, clock = MemorySource(), Changes(), [START]
    for time, series, value in samples:
        if time < START:
            source.add(series, (time, value))
    while not source.arrivals.empty():
        source.arrivals.get()
    scheduler = Scheduler(
        rules,
        source,
        append=source.append,
        sink=sink,
        clock=lambda: clock[0],
        arrivals=source.arrivals,
        has_series=source.has_series,
    )

    def arrive(time: int) -> None:
        for at, series, value in samples:
            if at == time:
                source.add(series, (at, value))

    live_run(
        rules,
        scheduler,
        lambda now: clock.__setitem__(0, now),
        [
            (time, lambda time=time: arrive(time))
            for time in sorted({s[0] for s in samples})
            if time >= START
        ],
        START,
        end,
    )
    failures = {status.group.name: status.failures for status in scheduler.groups()}
    return sink.heard, failures, source


def replayed(
    rules: RuleSet, source: MemorySource, end: int
) -> tuple[list[AlertChange], dict[str, int], Replayed]:
    sink = Changes()
    # Slabs and stretches so short that there are many of each.
    sizes = Sizes(first_slab=97_000, longest_slab=97_000, cells=7)
    found = replay(rules, source, Span(START, end), apply=sink.apply, sizes=sizes)
    failures = dict.fromkeys((group.name for group in rules.groups), 0)
    for group in rules.groups:
        for rule in group.rules:
            failures[group.name] += found.outcomes[rule.key].failures
    return sink.heard, failures, found


@pytest.mark.parametrize("name", RULES)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(
    # `Other` fires when its group is due, at no sample's time, and what counts alerts follows.
    samples=[
        (START + time, 'level{i="3"}', value)
        for time, value in [*((7_000 * k, 2.0) for k in range(1, 8)), (56_000, 1.0)]
    ],
    interval=10,
    limit=0,
    offset=0,
)
@given(
    samples=arrivals(),
    interval=st.sampled_from([10, 60]),
    limit=st.sampled_from([0, 0, 1]),
    offset=st.sampled_from([0, 0, 12]),
)
def test_a_replay_finds_what_a_live_run_finds(
    tmp_path: Path,
    name: str,
    samples: list[tuple[int, str, float]],
    interval: int,
    limit: int,
    offset: int,
) -> None:
    text = GROUPS.format(interval=interval, limit=limit, offset=offset, rules=RULES[name].strip())
    (tmp_path / "rules.yml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        # When a group is due depends on its file's name: it is the same in every run.
        patch.chdir(tmp_path)
        rules = load_rules([Path("rules.yml")])
    end = max([START + 5 * MINUTE, *(time for time, _, _ in samples)]) + MINUTE
    with pytest.MonkeyPatch.context() as patch:
        without_rest(patch)
        expected, failed, source = live(rules, samples, end)
        found, failing, _ = replayed(rules, source, end)
    assert told(found) == told(expected)
    assert failing == failed


def told(changes: Sequence[AlertChange]) -> list[tuple[object, ...]]:
    """The changes in their order, but for those of one rule at one instant: these have none."""
    found: list[tuple[object, ...]] = []
    for _, group in groupby(changes, key=lambda each: (each.at, each.rule.key)):
        found += [
            (each.at, each.rule.key, each.reason.name, each.before, each.after, each.alert)
            for each in sorted(group, key=lambda each: (each.alert.labels, each.reason.name))
        ]
    return found


def test_a_resolution_that_nobody_gives_is_exact_unless_that_is_too_much_work(
    tmp_path: Path,
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("groups: [{name: g, rules: [{alert: A, expr: level > 2}]}]")
    source = MemorySource()
    # Two hosts, each every second: in two minutes 240 instants of 2 series, at 1 s 120 of them.
    for host in (0, 1):
        source.every(f'level{{i="{host}"}}', 1_000, START + host, START + 2 * MINUTE, 3.0)

    def replay_with(work: float) -> Replayed:
        sizes = Sizes(work=work)
        span = Span(START, START + 2 * MINUTE - 1)
        return replay(load_rules([file]), source, span, apply=Changes().apply, sizes=sizes)

    assert replay_with(480).resolution == 1
    coarser = replay_with(240)
    assert coarser.resolution == 1_000
    # And one for the first sample of all, which is at the start itself.
    assert coarser.instants == 121
    assert replay_with(0).resolution == MINUTE
