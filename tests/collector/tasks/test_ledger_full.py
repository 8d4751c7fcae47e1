"""A disk that is full: the ledger refuses, keeps nothing by halves, and goes on when it may."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import LedgerError, Outbox, TaskFilter, TaskQueries
from support.alerts import Desk, alert_of, change, rule_of

RULE = rule_of(group_by=())
ALERTS = [alert_of(RULE, {"instance": f"host{n}", "pad": "x" * 500}) for n in range(400)]
ROUND = [change(RULE, alert, AlertState.FIRING) for alert in ALERTS]


def test_a_round_that_does_not_fit_leaves_no_trace_and_goes_in_later(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.ledger.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    # SQLite's own limit on the file: reaching it is the error of a full disk (SQLITE_FULL).
    with desk.ledger.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(LedgerError, match="full; check free space") as caught:
        desk.apply(*ROUND)
    assert caught.value.retryable
    assert desk.told == []
    assert desk.ledger.load_alerts() == []
    assert TaskQueries(desk.ledger).list(TaskFilter()).total == 0
    assert Outbox(desk.ledger).counts() == {}
    with desk.ledger.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    assert len(desk.apply(*ROUND)) == 1
    assert len(desk.ledger.load_alerts()) == 400
    desk.close()


SCRIPT = """
    import resource, signal, sys
    from pathlib import Path
    from forewarn_collector.rules.alerts import AlertState
    from forewarn_collector.tasks import LedgerError, TaskFilter, TaskQueries
    from support.alerts import Desk, alert_of, change, rule_of

    desk = Desk(Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    rule = rule_of()
    opened = 0
    try:
        for number in range(5_000):
            alert = alert_of(rule, {"instance": f"host{number}"})
            opened += len(desk.apply(change(rule, alert, AlertState.FIRING)))
    except LedgerError as error:
        print("refused", error.retryable)
    total = TaskQueries(desk.ledger).list(TaskFilter()).total
    print("whole", total == opened == len(desk.ledger.load_alerts()), opened > 10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    print("later", len(desk.apply(change(rule, alert, AlertState.FIRING))))
    desk.close()
"""


def test_a_file_that_may_not_grow_is_refused_by_the_system_and_goes_on_later(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(tests)},
    )
    assert done.stdout.splitlines() == ["refused True", "whole True True", "later 1"], done.stderr
