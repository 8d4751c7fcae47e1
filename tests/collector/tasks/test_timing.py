"""How long the steps of a task's life take, and whether tasks open in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from forewarn_collector.config_objective import ObjectiveConfig
from forewarn_collector.metrics import Metrics
from forewarn_collector.observe import objective_families, observe_changes, observe_delivery
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import Outbox, TaskCommands, TaskQueries
from support.alerts import DAY, HOUR, MINUTE, T0, Desk, alert_of, change, rule_of
from support.gates import Silence

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
RULE = rule_of()
SLOW = replace(rule_of("Slow"), for_=MINUTE)


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def steps(metrics: Metrics) -> dict[str, tuple[int, float]]:
    """How often each step was counted, and its seconds in all."""
    found: dict[str, tuple[int, float]] = {}
    for step in ("detected", "opened", "delivered", "acknowledged", "resolved"):
        labels = {"step": step}
        name = "forewarn_task_step_seconds"
        count = metrics.registry.get_sample_value(f"{name}_count", labels)
        if count:
            seconds = metrics.registry.get_sample_value(f"{name}_sum", labels) or 0.0
            found[step] = int(count), seconds
    return found


def test_every_step_of_a_task_is_counted_once_with_its_time(desk: Desk) -> None:
    metrics = Metrics()
    # The sample is of T0 - 500 ms, the rule found it at T0, and the ledger had it 200 ms later.
    alert = alert_of(RULE, {"instance": "a"})
    desk.clock.now = T0 + 200
    desk.keeper.apply([change(RULE, alert, FIRING)], T0)
    outbox = Outbox(desk.ledger)
    (delivery,) = outbox.due_deliveries("support", T0 + 200, 9)
    outbox.claim(delivery, T0 + 200)
    took = outbox.delivered(delivery.id, None, T0 + 1_200)
    assert took == 1_000
    observe_delivery(metrics, took)
    people = TaskCommands(desk.ledger, desk.told.extend)
    people.start("FW-1", "ann", T0 + 60_200)
    people.comment("FW-1", "ann", "hm", T0 + 60_200 + HOUR)
    desk.apply(change(RULE, alert, INACTIVE, T0 + 200 + 2 * HOUR))
    observe_changes(metrics, desk.told, T0)
    assert steps(metrics) == {
        "detected": (1, 0.5),
        "opened": (1, 0.7),
        "delivered": (1, 1.0),
        "acknowledged": (1, 60.0),
        "resolved": (1, 7200.0),
    }
    # Only the first delivery counts.
    (delivery,) = outbox.due_deliveries("support", T0 + DAY, 1)
    outbox.claim(delivery, T0 + DAY)
    assert outbox.delivered(delivery.id, None, T0 + DAY) is None


def test_a_task_that_is_back_counts_from_then(desk: Desk) -> None:
    alert = alert_of(RULE, {"instance": "a"})
    desk.apply(change(RULE, alert, FIRING))
    desk.apply(change(RULE, alert, INACTIVE, T0 + MINUTE))
    desk.apply(change(RULE, alert, FIRING, T0 + HOUR))
    desk.apply(change(RULE, alert, INACTIVE, T0 + HOUR + MINUTE))
    metrics = Metrics()
    observe_changes(metrics, desk.told, T0)
    assert steps(metrics)["resolved"] == (2, 120.0)


def test_the_objective_counts_what_opened_late_for_its_rule_and_leaves_out_what_was_held(
    desk: Desk,
) -> None:
    def opens(rule: object, host: str, lag: int) -> None:
        made = SLOW if rule is SLOW else RULE
        # The onset is half a second before T0; a rule with a `for` of a minute knows it later.
        at = T0 - 500 + made.for_ + lag
        desk.apply(change(made, alert_of(made, {"instance": host}), FIRING, at))

    opens(RULE, "a", 250)
    opens(RULE, "b", 251)
    opens(SLOW, "c", 250)
    opens(SLOW, "d", 0)
    desk.gates.append(Silence("e", T0 + HOUR))
    opens(RULE, "e", 0)
    assert len(desk.tick(T0 + HOUR)) == 1
    queries = TaskQueries(desk.ledger)
    assert queries.in_time(T0 - DAY, 250) == (4, 3)
    assert queries.in_time(T0 + 10 * MINUTE, 250) == (0, 0)
    objective = ObjectiveConfig(within=250, target=0.5, window=DAY)
    found = {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for family in objective_families(queries, objective, T0 + HOUR)
        for sample in family.samples
    }
    assert found["forewarn_objective_tasks", "in_time"] == 3
    assert found["forewarn_objective_tasks", "late"] == 1
    # Of four tasks two may be late, one is.
    assert found["forewarn_objective_budget_left_ratio", ""] == 0.5
    assert found["forewarn_objective_within_seconds", ""] == 0.25
