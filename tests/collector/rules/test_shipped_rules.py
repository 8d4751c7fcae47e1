"""The rules that ship load, and every one fires and keeps silent as its tests beside it say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.model import AlertingRule, TaskKind
from forewarn_collector.rules.shipped import shipped_rules_dir

RULES = Path(__file__).parents[3] / "rules"
FILES = sorted(file for file in RULES.glob("*.yml") if not file.stem.endswith("_test"))


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


def names(file: Path) -> set[str]:
    return {rule["alert"] for group in read(file)["groups"] for rule in group["rules"]}


@pytest.mark.server
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_promtool_agrees_once_the_task_blocks_are_taken_out(file: Path, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    document = read(file)
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("task", None)
    (tmp_path / file.name).write_text(yaml.safe_dump(document))
    tests = f"{file.stem}_test.yml"
    shutil.copy(RULES / tests, tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", tests], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_rule_is_tested_both_firing_and_silent(file: Path) -> None:
    firing, silent = set(), set()
    for case in read(RULES / f"{file.stem}_test.yml")["tests"]:
        for check in case["alert_rule_test"]:
            (firing if check["exp_alerts"] else silent).add(check["alertname"])
    assert firing == names(file)
    assert silent == names(file)


def test_every_rule_says_what_its_task_needs() -> None:
    assert shipped_rules_dir() == RULES
    rules = load_rules([shipped_rules_dir()])
    alerting = [rule for rule in rules.rules() if isinstance(rule, AlertingRule)]
    assert {rule.name for rule in alerting} == set().union(*map(names, FILES))
    for rule in alerting:
        assert rule.labels["severity"].source in {"critical", "high", "medium", "low"}, rule.name
        assert {"summary", "description"} <= rule.annotations.keys(), rule.name
        assert rule.task.group_by, rule.name
        assert rule.task.due, rule.name
        assert rule.task.checklist, rule.name


def test_a_process_that_is_down_is_a_task_at_once() -> None:
    rule = load_rules([RULES / "service.yml"]).alerting()["process/ProcessGroupDown"]
    assert rule.for_ == 0
    assert rule.task.kind is TaskKind.CORRECTIVE
    assert rule.task.group_by == ("instance", "groupname")
