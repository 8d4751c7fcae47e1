"""A PagerDuty service that an alertmanager.yml names: its events are as those of `pagerduty.py`."""

from __future__ import annotations

from typing import ClassVar

from forewarn_collector.queues.notification import Recipient
from forewarn_collector.queues.pagerduty import ENQUEUE, PagerDutyQueue
from forewarn_collector.queues.tracker_http import TrackerAccess
from forewarn_collector.silencing import Pager
from forewarn_collector.tasks import Delivery, DeliveryAction


class AlertmanagerPagerQueue(PagerDutyQueue):
    """Sends the events of a receiver's tasks."""

    kind: ClassVar[str] = "alertmanager pagerduty"

    def __init__(self, recipient: Recipient, pager: Pager) -> None:
        # The file names the whole address of the API.
        base = pager.url.removesuffix(ENQUEUE).rstrip("/")
        super().__init__(TrackerAccess(base=base, secrets=(pager.routing_key,)), pager.routing_key)
        self._recipient = recipient

    async def deliver(self, delivery: Delivery) -> str | None:
        """As of a service; an end is told only where the receiver wants to hear of it."""
        if delivery.action is DeliveryAction.RESOLVE and not self._recipient.send_resolved:
            return delivery.external_ref
        return await super().deliver(delivery)
