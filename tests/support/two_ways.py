"""A ledger, a model of a ticket system and all between them, on simulated time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forewarn_collector.queues import BackOff, DeliveryError, TicketQueue
from forewarn_collector.queues.ticket_reader import TicketReader
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks import Outbox, Task, TaskChange, TaskCommands, TaskQueries, Tickets
from forewarn_collector.tasks.service import BySeverity
from support.alerts import MINUTE, T0, Desk, alert_of, change, rule_of
from support.trackers.model import Call, Model, ModelTicket, in_process, model_queue

RULE = rule_of(group_by=("instance",))


@dataclass
class TwoWays:
    """The collector on one side, the tracker on the other. Every step takes a second."""

    folder: Path
    settings: str = ""
    member: str = ""
    model: Model = None  # type: ignore[assignment]
    queue_names: tuple[str, ...] = ("support",)
    alerts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk = Desk(self.folder, member=self.member)
        if self.model is None:
            self.model = Model(lambda: self.desk.clock.now)
        self.told: list[TaskChange] = []
        self.outbox = Outbox(self.desk.ledger)
        self.queries = TaskQueries(self.desk.ledger)
        self.commands = TaskCommands(self.desk.ledger, self.told.extend)
        self.tickets = Tickets(self.desk.ledger, self.told.extend, BySeverity())
        self.use(in_process(self.model))

    def use(self, call: Call) -> None:
        """Reach the tracker by this from now on."""
        self.queue: TicketQueue = model_queue(call, self.settings)
        self.reader = TicketReader(
            "support", self.queue, self.tickets, self.desk.clock, BackOff(1_000, 60_000)
        )

    def close(self) -> None:
        self.desk.close()

    def later(self, ms: int = 1_000) -> int:
        """Let time pass; the time (ms) then."""
        self.desk.clock.now += ms
        return self.desk.clock.now

    def fires(self, instance: str = "a", rule: AlertingRule = RULE) -> None:
        self._becomes(instance, AlertState.FIRING, rule)

    def ends(self, instance: str = "a", rule: AlertingRule = RULE) -> None:
        self._becomes(instance, AlertState.INACTIVE, rule)

    def _becomes(self, instance: str, after: AlertState, rule: AlertingRule) -> None:
        before = self.alerts.get(instance) or alert_of(rule, {"instance": instance})
        made = change(rule, before, after, self.later())
        self.alerts[instance] = made.alert
        self.desk.apply(made)

    async def deliver(self, queue: str = "support") -> int:
        """Deliver all that is owed and due; how many that were."""
        count = 0
        while due := self.outbox.due_deliveries(queue, self.desk.clock.now, 8):
            for delivery in due:
                assert self.outbox.claim(delivery, self.desk.clock.now)
                try:
                    left = await self.queue.hand_over(delivery)
                except DeliveryError as error:
                    retry_at = None if error.permanent else self.later() + MINUTE
                    self.outbox.failed(delivery.id, str(error), retry_at, self.desk.clock.now)
                    continue
                self.outbox.delivered(delivery.id, left and left.ref, self.later(), left)
                count += 1
        return count

    async def read(self) -> None:
        """Let the time of a poll pass, and read."""
        self.later(MINUTE)
        await self.reader.step()

    async def opened(self, instance: str = "a") -> ModelTicket:
        """A task with its ticket, read once."""
        self.fires(instance)
        await self.deliver()
        await self.read()
        return list(self.model.tickets.values())[-1]

    def task(self, number: str = "FW-1") -> Task:
        return self.queries.one(number)

    def entries(self, number: str = "FW-1") -> list[tuple[str, str, str]]:
        """The timeline: kind, who, text."""
        return [(e.kind.value, e.who, e.text) for e in self.task(number).timeline]

    def owed(self) -> Mapping[str, int]:
        return {name: count.owed for name, count in self.outbox.counts().items()}


__all__ = ["RULE", "T0", "TwoWays"]
