"""What our own API answers, as JSON Schemas. Checks that run against it hold it to them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from forewarn_collector.api.fields import Schema
from forewarn_collector.silencing import SilenceState
from forewarn_collector.tasks import (
    DeliveryAction,
    DeliveryState,
    TaskState,
    TicketState,
    TimelineKind,
)

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "integer", "description": "ms since epoch"}
_TIME_OR_NONE: Schema = {"type": ["integer", "null"], "description": "ms since epoch"}
_NUMBER: Schema = {"type": "string", "pattern": "^FW-[0-9]+$"}
_NUMBER_OR_NONE: Schema = {"type": ["string", "null"], "pattern": "^FW-[0-9]+$"}
_LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_FREE: Schema = {"type": "object"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _object(fields: Mapping[str, Schema]) -> Schema:
    """An object with just these fields, all of them there."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }


def _enum(values: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [each.value for each in values]}


SCHEMAS: dict[str, Schema] = {
    "Error": _object({"error": {**_TEXT, "description": "What is wrong, and what to do."}}),
    "TimelineEntry": _object(
        {
            "at": _TIME,
            "kind": _enum(TimelineKind),
            "text": _TEXT,
            "reason": _TEXT,
            "who": _TEXT,
        }
    ),
    "Member": _object(
        {
            "labels": _LABELS,
            "joined_at": _TIME,
            "left_at": _TIME_OR_NONE,
            "unknown_since": _TIME_OR_NONE,
        }
    ),
    "Task": _object(
        {
            "number": _NUMBER,
            "key": _TEXT,
            "state": _enum(TaskState),
            "title": _TEXT,
            "description": _TEXT,
            "severity": _TEXT,
            "kind": _TEXT,
            "customer": _TEXT,
            "labels": _LABELS,
            "annotations": _LABELS,
            "rule": _TEXT,
            "rule_name": _TEXT,
            "expr": _TEXT,
            "value": {**_TEXT, "description": "A number as text, as in Prometheus' API."},
            "queue": _TEXT,
            "checklist": _array(_TEXT),
            "onset_at": _TIME,
            "detected_at": _TIME,
            "opened_at": _TIME,
            "delivered_at": _TIME_OR_NONE,
            "acknowledged_at": _TIME_OR_NONE,
            "acknowledged_by": _TEXT,
            "resolved_at": _TIME_OR_NONE,
            "resolved_by": _TEXT,
            "resolve_reason": _TEXT,
            "due_at": _TIME_OR_NONE,
            "reopen_count": _COUNT,
            "reopened_at": _TIME_OR_NONE,
            "input_missing_since": _TIME_OR_NONE,
            "revision": _COUNT,
            "retrospective": _FLAG,
            "assignee": _TEXT,
            "assigned_at": _TIME_OR_NONE,
            "waiting_until": _TIME_OR_NONE,
            "closed_at": _TIME_OR_NONE,
            "closed_by": _TEXT,
            "close_reason": _TEXT,
            "duplicate_of": _NUMBER_OR_NONE,
            "previous": _NUMBER_OR_NONE,
            "next": _array(_NUMBER),
            "parent": _NUMBER_OR_NONE,
            "flap_count": _COUNT,
            "flapping_since": _TIME_OR_NONE,
            "quiet_since": _TIME_OR_NONE,
            "quiet_by": _TEXT,
            "muted_until": _TIME_OR_NONE,
            "mute_severity": _TEXT,
            "escalation_step": _COUNT,
            "next_escalation_at": _TIME_OR_NONE,
            "incident": _TEXT,
            "origin": _TEXT,
            "service": _TEXT,
            "held_since": _TIME_OR_NONE,
            "open_lag": {"type": ["integer", "null"], "description": "ms"},
            "timeline": _array(_ref("TimelineEntry")),
            "members": _array(_ref("Member")),
            "evidence": _array(_FREE),
            "tickets": _array(_ref("Ticket")),
        }
    ),
    "Ticket": _object(
        {
            "queue": _TEXT,
            "ref": {**_TEXT, "description": "What the ticket system calls it."},
            "url": {**_TEXT, "description": "Its address for people."},
            "state": {"type": "string", "enum": [*(each.value for each in TicketState), "gone"]},
            "assignee": {**_TEXT, "description": "By the ticket system's name."},
        }
    ),
    "TaskPage": _object(
        {
            "tasks": _array(_ref("Task")),
            "total": {**_COUNT, "description": "How many match in all."},
            "next": {
                "type": ["string", "null"],
                "description": "The `cursor` of the next page; null behind the last one.",
            },
        }
    ),
    "Happening": _object({"number": _NUMBER, "entry": _ref("TimelineEntry"), "task": _ref("Task")}),
    "Silence": _object(
        {
            "id": _TEXT,
            "state": _enum(SilenceState),
            "matchers": _array(_TEXT),
            "starts_at": _TIME,
            "ends_at": _TIME,
            "updated_at": _TIME,
            "created_by": _TEXT,
            "comment": _TEXT,
        }
    ),
    "SilenceList": _object({"silences": _array(_ref("Silence"))}),
    "Queue": _object(
        {
            "name": _TEXT,
            "configured": {**_FLAG, "description": "Whether the configuration has it."},
            "owed": _COUNT,
            "failed": {**_COUNT, "description": "Of the owed ones, those tried in vain."},
            "delivered": _COUNT,
            "dead": _COUNT,
            "failed_attempts": _COUNT,
            "paused_until": {
                **_TIME_OR_NONE,
                "description": "Until when it is left alone (ms since epoch); null while it works.",
            },
            "paused_why": _TEXT,
        }
    ),
    "QueueList": _object({"queues": _array(_ref("Queue"))}),
    "Delivery": _object(
        {
            "id": _TEXT,
            "number": _NUMBER,
            "revision": _COUNT,
            "queue": _TEXT,
            "action": _enum(DeliveryAction),
            "state": _enum(DeliveryState),
            "created_at": _TIME,
            "due_at": {**_TIME, "description": "When it is tried next (ms since epoch)."},
            "attempts": _COUNT,
            "done_at": _TIME_OR_NONE,
            "error": _TEXT,
            "external_ref": {"type": ["string", "null"]},
        }
    ),
    "DeliveryPage": _object(
        {"deliveries": _array(_ref("Delivery")), "next": {"type": ["integer", "null"]}}
    ),
    "Reply": _object({"number": _NUMBER}),
    "AuditEntry": _object(
        {
            "id": _COUNT,
            "at": _TIME,
            "who": _TEXT,
            "role": _TEXT,
            "action": _TEXT,
            "object": _TEXT,
            "reason": _TEXT,
            "detail": _FREE,
        }
    ),
    "AuditPage": _object(
        {"entries": _array(_ref("AuditEntry")), "next": {"type": ["integer", "null"]}}
    ),
}
