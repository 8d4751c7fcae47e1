"""`forewarn rules test` on promtool's own test data and on public rules, beside promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forewarn_collector.rules.testing import run_file
from forewarn_collector.tasks.rehearsal import rehearsal

DATA = Path(__file__).parents[4] / "shared" / "data"
PROMTOOL = sorted((DATA / "promtool").glob("*.yml"))
PUBLIC = sorted((DATA / "ruletests").glob("*/*/test.yaml"))

# These files use what is newer than Debian's promtool: the default of `interval`, `start_timestamp`.
# Prometheus' own tests (cmd/promtool/unittest_test.go) have both pass.
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
def test_which_of_promtools_own_tests_fail_is_known() -> None:
    failing = {
        each.name
        for file in PROMTOOL
        for each in run_file(file, rehearsal).cases
        if each.result.failures and file.name.startswith(("failing", "rules_run"))
    }
    # Their names say it; "correct fuzzy match" stands in the file without `fuzzy_compare` too.
    assert failing == {
        "Failing test",
        "Failing alert test",
        "wrong test",
        "wrong fuzzy match",
        "correct fuzzy match",
    }


@needs_data
@pytest.mark.parametrize("file", PUBLIC, ids=lambda file: f"{file.parts[-3]}/{file.parts[-2]}")
def test_the_tests_of_public_rules_pass(file: Path) -> None:
    result = run_file(file, rehearsal)
    assert result.passed
    assert result.cases
