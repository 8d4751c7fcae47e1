"""`forewarn rules test` on promtool's own test data and on public rules, beside promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from forewarn_collector.rules.testing import run_file
from forewarn_collector.tasks.rehearsal import rehearsal

DATA = Path(__file__).parents[4] / "shared" / "data"
PROMTOOL = sorted((DATA / "promtool").glob("*.yml"))
PUBLIC = sorted((DATA / "ruletests").glob("*/*/test.yaml"))

# These files use what is newer than Debian's promtool: `start_timestamp` and that `interval` may be
# absent. Prometheus' own tests (cmd/promtool/unittest_test.go) have both pass.
NEWER = {"no-test-group-interval.yml", "start-time-test.yml"}

needs_data = pytest.mark.skipif(not PROMTOOL, reason=f"{DATA} is not there")


@needs_data
@pytest.mark.server
def test_promtools_own_files_pass_and_fail_as_in_promtool() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    for file in PROMTOOL:
        done = subprocess.run(
            ["promtool", "test", "rules", file.name], cwd=file.parent, capture_output=True
        )
        passes = file.name in NEWER or done.returncode == 0
        assert run_file(file, rehearsal).passed == passes, file.name


@needs_data
def test_of_promtools_own_passing_tests_only_native_histograms_are_refused() -> None:
    # Debian's promtool can't read this file; its newest counts 60 samples in [1m], not 61.
    histograms, *others = run_file(DATA / "promtool" / "unittest.yml", rehearsal).cases
    assert len(others) == 4
    assert not any(each.result.failures or each.result.case.problems for each in others)
    problems = histograms.result.case.problems
    assert len(problems) == 6
    assert all("native histograms are not supported" in each.message for each in problems)


def single_cases(file: Path) -> list[str]:
    """The file once for each of its tests, with that only; scalars stay as they are written."""
    found = []
    for number in range(len(yaml.safe_load(file.read_text())["tests"])):
        node = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
        (tests,) = (value for key, value in node.value if key.value == "tests")
        tests.value = [tests.value[number]]
        found.append(yaml.serialize(node))
    return found


@needs_data
@pytest.mark.server
@pytest.mark.parametrize("name", ["failing", "rules_run", "bad-promql", "long-period"])
def test_each_single_test_passes_or_fails_as_in_promtool(name: str, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    shutil.copy(DATA / "promtool" / "rules.yml", tmp_path)
    for text in single_cases(DATA / "promtool" / f"{name}.yml"):
        (tmp_path / "test.yml").write_text(text)
        done = subprocess.run(
            ["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True
        )
        assert run_file(tmp_path / "test.yml", rehearsal).passed == (done.returncode == 0), text


@needs_data
@pytest.mark.parametrize("file", PUBLIC, ids=lambda file: f"{file.parts[-3]}/{file.parts[-2]}")
def test_the_tests_of_public_rules_pass(file: Path) -> None:
    result = run_file(file, rehearsal)
    assert result.passed
    assert result.cases
