"""A queue that is a PagerDuty service: a task is one alert there, by PagerDuty's own deduplication.

kind: pagerduty
routing_key_file: PATH          the integration key of the service: `Events API V2`
url: https://events.pagerduty.com       in the EU https://events.eu.pagerduty.com
severity: {high: critical}      critical, error, warning or info for each severity of a task

By the Events API v2, https://developer.pagerduty.com/docs/events-api-v2-overview.

| the task | the event |
| --- | --- |
| opens, opens again | `trigger` |
| rises in severity, escalates | `trigger`, which changes the open alert |
| is acknowledged or begun | `acknowledge` |
| changes otherwise, or was over before its data came | none: nobody is woken for it |
| ends | `resolve` |

Each event has the `dedup_key` of its task: events with one key are one alert for as long as that is
open, so that a resend makes none. Only where it was resolved in between, within the seconds of an
answer that was lost, does a resent trigger make another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.ticket_settings import cut, sendable, where_of
from forewarn_collector.queues.tracker_http import TrackerAccess, TrackerClient, told
from forewarn_collector.queues.tracker_place import read_place
from forewarn_collector.tasks import Delivery, DeliveryAction, TimelineKind
from forewarn_collector.tasks.evidence_text import evidence_lines
from forewarn_wire.document import Section
from forewarn_wire.readers import text_mapping

ENQUEUE = "/v2/enqueue"
"""The path of the Events API for alerts."""
_URL = "https://events.pagerduty.com"
_SEVERITIES = ("critical", "error", "warning", "info")
_SEVERITY = {
    "critical": "critical",
    "high": "error",
    "error": "error",
    "medium": "warning",
    "warning": "warning",
    "low": "info",
    "info": "info",
}
_OTHERWISE = "error"
_LONGEST_SUMMARY = 1_024
_LONGEST_TEXT = 1_000
_MOST_ITEMS = 100
_LONGEST_EVIDENCE = 20_000
_MOST_BYTES = 400_000
"""Of the details: an event may have 512 KB."""
_DISPENSABLE = ("evidence", "checklist", "labels")
"""Which of the details are left out first, where they are too many."""
_WORSE = frozenset({TimelineKind.SEVERITY.value, TimelineKind.ESCALATED.value})
_AT_WORK = frozenset({TimelineKind.ACKNOWLEDGED.value, TimelineKind.STARTED.value})


class PagerDutyQueue:
    """See the module's text."""

    kind: ClassVar[str] = "pagerduty"

    def __init__(
        self, access: TrackerAccess, routing_key: str, severity: Mapping[str, str] = _SEVERITY
    ) -> None:
        """`severity` names PagerDuty's for each of a task's."""
        self._client = TrackerClient(access, _verdict)
        self._routing_key = routing_key
        self._severity = severity

    @classmethod
    def from_section(
        cls, name: str, section: Section, environ: Mapping[str, str]
    ) -> PagerDutyQueue | None:
        """Read `routing_key_file`, `url`, `severity`, `ca_file` and `timeout`."""
        severity = section.take("severity", _severities, _SEVERITY)
        place = read_place(section, environ, _URL, called="routing_key")
        return None if place is None else cls(place.access(place.url, {}), place.token, severity)

    async def deliver(self, delivery: Delivery) -> str | None:
        """Send its event, if it is worth one; returns the `dedup_key`."""
        action = _action(delivery)
        if action is None:
            return delivery.external_ref
        key = marker_of(delivery.thread_id)
        body = {
            "routing_key": self._routing_key,
            "event_action": action,
            "dedup_key": key,
            "client": "Forewarn",
            "payload": self._payload(delivery),
            "links": _links(delivery),
        }
        if delivery.page_url:
            body["client_url"] = delivery.page_url
        if delivery.plot_url.startswith("https://"):
            # PagerDuty takes no other address.
            plot = {"src": delivery.plot_url, "href": delivery.page_url, "alt": "Evidence"}
            body["images"] = [plot]
        await self._client.request("POST", ENQUEUE, body=body)
        return key

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _payload(self, delivery: Delivery) -> dict[str, Any]:
        task = delivery.task
        payload = {
            "summary": _bounded(task.title or task.number, _LONGEST_SUMMARY),
            "source": _bounded(where_of(task)) or "forewarn",
            "severity": self._severity.get(task.severity, _OTHERWISE),
            "timestamp": _stamp(task.onset_at),
            "component": _bounded(task.service),
            "group": _bounded(task.customer),
            "class": _bounded(task.rule_name),
            "custom_details": details_of(delivery),
        }
        return {name: value for name, value in payload.items() if value}


def _action(delivery: Delivery) -> str | None:
    """The event that a delivery is; None where it is none."""
    if delivery.action is DeliveryAction.RESOLVE:
        return None if delivery.task.retrospective else "resolve"
    if delivery.action is DeliveryAction.UPDATE:
        at_work = delivery.reason in _AT_WORK
        if delivery.external_ref is None:
            # Its first trigger was refused for good: its alert is still to be made.
            return None if at_work or delivery.task.retrospective else "trigger"
        if at_work:
            return "acknowledge"
        # A trigger for less would make a new alert of one that people have resolved.
        return "trigger" if delivery.reason in _WORSE else None
    return "trigger"


def details_of(delivery: Delivery) -> dict[str, Any]:
    """What an alert's details say, bounded."""
    task = delivery.task
    details: dict[str, Any] = {
        "task": task.number,
        "delivery": delivery.id,
        "what": _bounded(f"{delivery.action.value}: {delivery.text}"),
        "description": _bounded(task.description, 10 * _LONGEST_TEXT),
        "value": _bounded(task.value),
        "labels": {_bounded(n): _bounded(v) for n, v in task.labels[:_MOST_ITEMS]},
        "checklist": [_bounded(item) for item in task.checklist[:_MOST_ITEMS]],
        "evidence": _bounded("\n".join(evidence_lines(task.evidence)), _LONGEST_EVIDENCE),
    }
    kept = {name: value for name, value in details.items() if value}
    for name in _DISPENSABLE:
        if len(json.dumps(kept)) <= _MOST_BYTES:
            break
        kept.pop(name, None)
    return kept


def _links(delivery: Delivery) -> list[dict[str, str]]:
    runbook = delivery.task.annotations.get("runbook_url", "")
    links = ((delivery.page_url, delivery.task.number), (runbook, "Runbook"))
    return [
        {"href": sendable(href), "text": text}
        for href, text in links
        if href.startswith(("https://", "http://"))
    ]


def _bounded(said: str, longest: int = _LONGEST_TEXT) -> str:
    return sendable(cut(said, longest))


def _stamp(at: int) -> str:
    stamp = datetime.fromtimestamp(at / 1000, UTC)
    return stamp.isoformat(timespec="milliseconds")


def _severities(value: Any) -> dict[str, str]:
    given = text_mapping(value)
    for severity in given.values():
        if severity not in _SEVERITIES:
            raise ValueError(f"expected {', '.join(_SEVERITIES)}, found {severity!r}")
    return _SEVERITY | given


def _verdict(status: int, _: Mapping[str, str], document: Any) -> DeliveryError | None:
    """What PagerDuty says that a status alone does not."""
    said = json.dumps(document, ensure_ascii=False)[:300] if document else ""
    if status == 400 and "routing" in said.lower() and "key" in said.lower():
        hint = "give the queue the integration key of a service's Events API V2"
        said = f"HTTP 400: the routing_key is refused: {told(document, 'message')}; {hint}"
        return DeliveryError(said, permanent=False, whole_queue=True)
    if status == 404:
        said = "HTTP 404: no Events API at this address; leave out `url`, or mend it"
        return DeliveryError(said, permanent=False, whole_queue=True)
    return None
