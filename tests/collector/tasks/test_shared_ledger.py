"""Two collectors on one ledger: one claims each delivery, and no round is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import Ledger, LedgerError, Outbox, TaskFilter, TaskQueries
from forewarn_collector.tasks.outbox import LEASE
from support.alerts import MINUTE, T0, Desk, alert_of, change, rule_of
from support.databases import DATABASES

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
RULE = rule_of()
HOSTS = 20


@pytest.fixture
def pair(tmp_path: Path, each_database: str) -> Iterator[tuple[Desk, Desk]]:
    """The desks of two collectors, which know each other by the ledger only."""
    pair = Desk(tmp_path, member="one"), Desk(tmp_path, member="two")
    yield pair
    for desk in pair:
        desk.close()


def test_rounds_of_both_at_once_open_each_problem_once(pair: tuple[Desk, Desk]) -> None:
    def live(desk: Desk) -> None:
        for number in range(HOSTS):
            alert = alert_of(RULE, {"instance": f"host{number}"})
            desk.apply(change(RULE, alert, FIRING, T0 + number))

    threads = [threading.Thread(target=live, args=(desk,)) for desk in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = TaskQueries(pair[0].ledger).list(TaskFilter(), limit=1_000)
    assert found.total == HOSTS
    assert sorted(task.id for task in found.tasks) == list(range(1, HOSTS + 1))
    told = [each for desk in pair for each in desk.told]
    assert len(told) == HOSTS
    assert Outbox(pair[0].ledger).counts()["support"].owed == HOSTS


def test_a_delivery_is_claimed_by_one_of_them(pair: tuple[Desk, Desk]) -> None:
    for number in range(HOSTS):
        alert = alert_of(RULE, {"instance": f"host{number}"})
        pair[0].apply(change(RULE, alert, FIRING, T0))
    claimed: list[str] = []

    def claim(desk: Desk) -> None:
        outbox = Outbox(desk.ledger)
        for delivery in outbox.due_deliveries("support", T0, HOSTS):
            if outbox.claim(delivery, T0):
                claimed.append(delivery.id)

    threads = [threading.Thread(target=claim, args=(desk,)) for desk in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == HOSTS


def test_a_start_takes_back_its_own_claims_and_leaves_those_of_the_other(
    pair: tuple[Desk, Desk],
) -> None:
    pair[0].apply(change(RULE, alert_of(RULE, {"instance": "a"}), FIRING, T0))
    one, two = (Outbox(desk.ledger) for desk in pair)
    (delivery,) = one.due_deliveries("support", T0, 9)
    assert one.claim(delivery, T0)
    two.recover("support", T0 + MINUTE)
    assert two.due_deliveries("support", T0 + MINUTE, 9) == []
    # Whoever died for good loses its claim when the lease is over.
    assert len(two.due_deliveries("support", T0 + LEASE, 9)) == 1
    one.recover("support", T0 + MINUTE)
    assert len(two.due_deliveries("support", T0 + MINUTE, 9)) == 1


@pytest.mark.usefixtures("_databases")
def test_a_server_that_is_gone_is_an_error_that_may_pass_and_shows_no_password(
    tmp_path: Path,
) -> None:
    url = DATABASES.server().url.set(port=1, password="secret")
    ledger = Ledger(tmp_path, url)
    with pytest.raises(LedgerError, match=r"forewarn:\*\*\*@127\.0\.0\.1:1/postgres") as caught:
        ledger.open()
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("_databases")
def test_a_writer_that_waits_too_long_for_another_gives_up_and_may_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forewarn_collector.tasks.database._PATIENCE", 50)
    DATABASES.kind = "postgresql"
    try:
        one, two = Desk(tmp_path, member="one"), Desk(tmp_path, member="two")
        with one.ledger.write() as connection:
            connection.execute(text("SELECT 1"))
            with pytest.raises(LedgerError, match="lock timeout") as caught:
                two.apply(change(RULE, alert_of(RULE, {"instance": "a"}), FIRING))
        assert caught.value.retryable
        assert len(two.apply(change(RULE, alert_of(RULE, {"instance": "a"}), FIRING))) == 1
        one.close()
        two.close()
    finally:
        DATABASES.kind = "sqlite"
