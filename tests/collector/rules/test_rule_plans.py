"""The plans of rules as `forewarn rules explain` shows them."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

from click.testing import CliRunner

from forewarn_collector.cli import build
from forewarn_collector.rules import plan_lines, rule_plans
from support.rule_world import World, group
from support.servers import running_collector
from support.waiting import wait_until

RULES = """
{alert: Full, expr: 'free / size < (0.05 * 2)'}
{alert: Fills, expr: 'predict_linear(free[6h], -3 * 86400) < 0 and free / size < 0.4'}
{alert: Slow, expr: 'histogram_quantile(0.9, sum by (le) (rate(seconds_bucket[5m]))) > bool 2'}
{alert: Top, expr: 'topk(3, max_over_time((-load{cpu!="0"})[1h:1m] offset 5m))'}
{alert: Always, expr: 'vector(1)'}
"""


def lines(world: World, name: str, counted: bool = True) -> str:
    statuses = [rule for group in world.scheduler.groups() for rule in group.rules]
    plans = rule_plans(statuses, world.source if counted else None)
    (found,) = (plan.to_json()["plan"] for plan in plans if plan.status.rule.name == name)
    return "\n".join(plan_lines(found))


def expected(text: str) -> str:
    return dedent(text).strip()


def test_a_plan_shows_its_parts_its_series_and_what_it_shares(tmp_path: Path) -> None:
    world = World(tmp_path, group(RULES))
    world.source.add('free{disk="1"}', (0, 1))
    world.source.add('free{disk="2"}', (0, 1))
    world.source.add('size{disk="1"}', (0, 1))
    assert lines(world, "Full") == expected(
        """
        < 0.05 * 2
          /  [shared with Fills]
            free  [2 series]
            size  [1 series]
        """
    )
    assert lines(world, "Fills", counted=False) == expected(
        """
        and
          < 0
            predict_linear(…, -3 * 86400)  [kept up as samples arrive]
              free[6h]
          < 0.4
            /  [shared with Full]
              free
              size
        """
    )
    assert lines(world, "Slow") == expected(
        """
        > bool 2
          histogram_quantile(0.9, …)
            sum by (le) (…)
              rate(…)  [kept up as samples arrive]
                seconds_bucket[5m]  [0 series]
        """
    )
    assert lines(world, "Top", counted=False) == expected(
        """
        topk(3, …)
          max_over_time(…)
            [1h:1m] offset 5m
              -
                load{cpu!="0"}
        """
    )
    assert lines(world, "Always") == "vector(1)"


def test_of_many_that_share_a_part_a_few_are_named(tmp_path: Path) -> None:
    rules = "\n".join(f"{{alert: A{number}, expr: sum(x) > {number}}}" for number in range(6))
    world = World(tmp_path, group(rules))
    assert lines(world, "A0", counted=False) == expected(
        """
        > 0
          sum(…)  [shared with A1, A2, A3 and 2 more]
            x
        """
    )


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(build(lambda: 0), ["rules", "explain", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_without_a_collector_the_plans_are_shown_without_figures(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(group("{record: sum, expr: sum(load)}"))
    shown, told = run(str(file), "--server", "http://127.0.0.1:9")
    assert shown == "g/sum: not evaluated\n  sum(…)\n    load\n\n"
    assert told.startswith("plans only, without figures: no collector answers")


def test_a_collector_that_has_the_rule_adds_its_figures(tmp_path: Path) -> None:
    text = group("{record: cores, expr: 'count(node_load1) or vector(7)'}")
    here, there = tmp_path / "here.yml", tmp_path / "there.yml"
    there.write_text(text.replace("rules:", "interval: 100ms\n    rules:"))
    here.write_text(text + "      - {alert: Other, expr: load > 1}\n")
    with running_collector(tmp_path / "data", "--rules", str(there)) as collector:

        def shown() -> list[str]:
            return run(str(here), "--server", collector.url)[0].splitlines()

        wait_until("the rule was evaluated", lambda: "not evaluated" not in shown()[0])
        first, *plan = shown()
        assert first.startswith("g/cores: 1 element in ")
        assert plan[:4] == ["  or", "    count(…)", "      node_load1  [0 series]", "    vector(7)"]
        assert plan[5] == "g/Other: not evaluated"
        as_json = json.loads(run(str(here), "--server", collector.url, "--json")[0])
    assert [rule["elements"] for rule in as_json["rules"]] == [1, 0]
    assert as_json["rules"][0]["plan"]["children"][0]["text"] == "count(…)"
