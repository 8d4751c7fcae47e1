"""A webhook that an alertmanager.yml names: it gets what it would get from Alertmanager.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4 of the
body, and prometheus/alertmanager `notify/webhook/webhook.go`. The group of alerts is the task.
Our own headers come with it, see `webhook.py`; the answer is read as there.
"""

from __future__ import annotations

import json
import ssl
from typing import ClassVar

from forewarn_collector.queues.notification import Recipient
from forewarn_collector.queues.webhook import WebhookQueue
from forewarn_collector.silencing import Webhook
from forewarn_collector.tasks import Delivery, DeliveryAction


class AlertmanagerWebhookQueue(WebhookQueue):
    """Posts what its recipient is told of."""

    kind: ClassVar[str] = "alertmanager webhook"

    def __init__(
        self,
        name: str,
        recipient: Recipient,
        webhook: Webhook,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        header = webhook.http.authorization
        super().__init__(name, webhook.url, authorization=header, tls=tls)
        self._recipient = recipient

    async def deliver(self, delivery: Delivery) -> str | None:
        """As of a webhook; an end is told only where the receiver wants to hear of it."""
        if delivery.action is DeliveryAction.RESOLVE and not self._recipient.send_resolved:
            return delivery.external_ref
        return await super().deliver(delivery)

    def encode(self, delivery: Delivery) -> bytes:
        """The body, see the module's text."""
        document = self._recipient.notification(delivery).to_json()
        return json.dumps(document, separators=(",", ":")).encode()
