"""A webhook that an alertmanager.yml names: it gets what it would get from Alertmanager.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4 of the
body, and prometheus/alertmanager `notify/webhook/webhook.go`. The group of alerts is the task: its
`groupKey` is the task's key, and its one alert has the labels that all of the task's alerts share.
Our own headers come with it, see `webhook.py`; the answer is read as there.
"""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from typing import Any, ClassVar

from forewarn_collector.queues.webhook import WebhookQueue
from forewarn_collector.silencing import Route, Webhook, fingerprint
from forewarn_collector.tasks import Delivery, DeliveryAction
from forewarn_wire import Labels

_NEVER = "0001-01-01T00:00:00Z"


class AlertmanagerWebhookQueue(WebhookQueue):
    """Posts to the webhook of `receiver`; `root` says by which labels it is grouped."""

    kind: ClassVar[str] = "alertmanager webhook"

    def __init__(
        self,
        receiver: str,
        webhook: Webhook,
        root: Route,
        external_url: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(receiver, webhook.url, authorization=webhook.http.authorization, tls=tls)
        self._receiver = receiver
        self._send_resolved = webhook.send_resolved
        self._root = root
        self._external_url = external_url

    async def deliver(self, delivery: Delivery) -> str | None:
        """As of a webhook; an end is told only where the receiver wants to hear of it."""
        if delivery.action is DeliveryAction.RESOLVE and not self._send_resolved:
            return delivery.external_ref
        return await super().deliver(delivery)

    def encode(self, delivery: Delivery) -> bytes:
        """The body, see the module's text."""
        task = delivery.task
        status = "resolved" if delivery.action is DeliveryAction.RESOLVE else "firing"
        ended = task.ended_at or task.resolved_at
        alert: dict[str, Any] = {
            "status": status,
            "labels": dict(task.labels),
            "annotations": dict(task.annotations),
            "startsAt": _stamp(task.onset_at),
            "endsAt": _stamp(ended) if status == "resolved" else _NEVER,
            "generatorURL": f"{self._external_url}/tasks/{task.number}",
            "fingerprint": fingerprint(task.labels),
        }
        document = {
            "version": "4",
            "groupKey": task.key,
            "truncatedAlerts": 0,
            "status": status,
            "receiver": self._receiver,
            "groupLabels": dict(self._group_labels(task.labels)),
            "commonLabels": dict(task.labels),
            "commonAnnotations": dict(task.annotations),
            "externalURL": self._external_url,
            "alerts": [alert],
        }
        return json.dumps(document, separators=(",", ":")).encode()

    def _group_labels(self, labels: Labels) -> Labels:
        return self._root.match(dict(labels))[0].group_labels(labels)


def _stamp(milliseconds: int | None) -> str:
    if milliseconds is None:
        return _NEVER
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")
