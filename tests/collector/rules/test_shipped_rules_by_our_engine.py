"""The tests of the rules that ship, which promtool runs too, pass with `forewarn rules test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.rules.testing import never_active, run_file
from forewarn_collector.rules.testing.report import file_failures
from forewarn_collector.tasks.rehearsal import rehearsal

RULES = Path(__file__).parents[3] / "rules"
TESTS = sorted(RULES.glob("*_test.yml"))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_same_alerts_fire_with_the_same_texts(file: Path) -> None:
    result = run_file(file, rehearsal)
    assert result.passed, "\n".join(file_failures(result))
    assert len(result.cases) > 1
    assert never_active([result]) == []
