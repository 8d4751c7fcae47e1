"""Backtests that the page asks for: one after the other, and not too many."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.web.backtests import Backtests, BusyError
from support.alerts import T0, rule_of


async def test_one_runs_ten_wait_and_more_are_refused(tmp_path: Path) -> None:
    backtests = Backtests(tmp_path)
    rules = [rule_of(name=f"Rule{number}") for number in range(12)]
    asked = [backtests.ask(rule, 7, T0) for rule in rules[:11]]
    with pytest.raises(BusyError, match="10 replays wait already"):
        backtests.ask(rules[11], 7, T0)
    assert backtests.ask(rules[0], 7, T0) is asked[0]
    await backtests.stop()
    assert not any(each.runs for each in asked if each.problem)
    assert backtests.ask(rules[11], 7, T0).runs
    await backtests.stop()
