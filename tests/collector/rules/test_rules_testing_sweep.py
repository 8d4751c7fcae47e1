"""All steps of a test at once give what one step after another gives, to the last sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.rules.testing.load import load_suite
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_collector.rules.testing.model import Case
from forewarn_collector.rules.testing.playback import Playback, Steps
from forewarn_collector.rules.testing.program import Program, compiled
from forewarn_collector.rules.testing.run import Feed
from forewarn_collector.rules.testing.sweep import sweep
from forewarn_collector.store import Matcher, MatchOp
from forewarn_wire import Labels, is_stale

RULES = Path(__file__).parents[3] / "rules"
MINUTE = 60_000

# Rules that read each other in every order: what is recorded before, after, in another group, and
# what ends, comes back and is recorded by two rules.
TANGLED = """\
groups:
  - name: readers
    rules:
      - {alert: Late, expr: 'doubled > 4', for: 2m, labels: {severity: low}}
      - {record: 'late:rate', expr: 'rate(doubled[5m])'}
      - {alert: LateRate, expr: 'late:rate > 0', keep_firing_for: 3m}
  - name: writers
    rules:
      - {record: doubled, expr: 'input * 2'}
      - {alert: Now, expr: 'doubled > 4', for: 1m}
      - {record: both, expr: 'input > 3', labels: {of: a}}
      - {record: both, expr: 'input', labels: {of: b}}
      - {alert: Gone, expr: 'absent(both{of="a"})'}
      - {alert: Both, expr: 'count by (of) (both) > 0', annotations: {summary: '{{ $value }}'}}
      - {record: 'sub', expr: 'max_over_time(doubled[10m:])'}
"""
CASE = """\
rule_files: [rules.yml]
evaluation_interval: 30s
tests:
  - interval: 1m
    start_timestamp: 1700000007
    input_series:
      - {series: 'input{i="1"}', values: '1 2 3 4 5 stale _ 1 9 9 _x7 5+1x6'}
      - {series: 'input{i="2"}', values: '0+1x12'}
    promql_expr_test: [{expr: up, eval_time: 30m}]
"""


def samples(store: MemoryStore) -> dict[Labels, list[tuple[int, str]]]:
    found = store.select([Matcher("__name__", MatchOp.REGEX, ".+")], 0, 1 << 60)
    return {
        labels: [
            (time, "stale" if is_stale(value) else repr(value))
            for time, value in zip(
                found.times[found.offsets[row] : found.offsets[row + 1]].tolist(),
                found.values[found.offsets[row] : found.offsets[row + 1]].tolist(),
                strict=True,
            )
        ]
        for row, labels in enumerate(found.labels)
    }


def check(program: Program, case: Case, steps: Steps) -> int:
    """Compare; how many alerts fired at any step."""
    last = case.until // steps.step * steps.step
    swept = sweep(program, case, Feed(case).until(case.start + last), steps)
    assert swept is not None
    store, feed = MemoryStore(), Feed(case)
    playback = Playback(program, store, case, steps, shows_alerts=False)
    names = {rule.name for rule in program.rules() if not isinstance(rule, RecordingRule)}
    fired = 0
    for step, since in enumerate(range(0, case.until + 1, steps.step)):
        store.append(feed.until(case.start + since))
        assert list(playback.evaluate(case.start + since, None)) == []
        for name in sorted(names):
            firing = playback.firing(name)
            assert swept.firing(name, step) == firing, f"{name} at {since}"
            fired += len(firing)
    assert swept.active == playback.active
    assert samples(swept.store) == samples(store)
    return fired


@pytest.mark.parametrize("file", sorted(RULES.glob("*_test.yml")), ids=lambda file: file.stem)
def test_on_the_rules_that_ship(file: Path) -> None:
    suite = load_suite(file).suite
    program = compiled(load_rules(suite.rule_files), suite.group_eval_order)
    steps = Steps(suite.evaluation_interval)
    assert sum(check(program, case, steps) for case in suite.cases) > 0


@pytest.mark.parametrize("order", [(), ("writers", "readers")])
def test_on_rules_that_read_what_is_recorded_later(tmp_path: Path, order: tuple[str, ...]) -> None:
    (tmp_path / "rules.yml").write_text(TANGLED)
    (tmp_path / "test.yml").write_text(CASE)
    suite = load_suite(tmp_path / "test.yml").suite
    assert not suite.cases[0].problems
    program = compiled(load_rules(suite.rule_files), order)
    assert check(program, suite.cases[0], Steps(suite.evaluation_interval)) > 100


@pytest.mark.parametrize(
    "rules",
    [
        # Each reads what the other recorded a step before.
        "[{record: a, expr: b + 1}, {record: b, expr: a or vector(0)}]",
        # What lies ahead of a step is not there yet.
        "[{record: a, expr: input offset -5m}]",
        "[{record: a, expr: input @ 1800}]",
        # Any metric at all may be recorded by a rule.
        "[{record: a, expr: 'count({i=\"1\"})'}]",
    ],
)
def test_what_may_differ_is_left_to_one_step_after_another(tmp_path: Path, rules: str) -> None:
    (tmp_path / "rules.yml").write_text(f"groups: [{{name: g, rules: {rules}}}]\n")
    (tmp_path / "test.yml").write_text(CASE)
    suite = load_suite(tmp_path / "test.yml").suite
    program = compiled(load_rules(suite.rule_files), ())
    feed = Feed(suite.cases[0]).until(1 << 60)
    assert sweep(program, suite.cases[0], feed, Steps(MINUTE)) is None
