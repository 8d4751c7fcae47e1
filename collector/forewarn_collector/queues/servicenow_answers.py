"""ServiceNow's answers, read: incidents, journals, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.text_markers import marker_at_end
from forewarn_collector.queues.tracker import Comment, Outcome, Ticket, TicketState
from forewarn_collector.queues.tracker_http import strange, told, told_at
from forewarn_wire.readers import text_mapping

COLUMNS = (
    "sys_id,number,short_description,state,active,close_code,correlation_id,"
    "assigned_to.user_name,sys_updated_by,sys_updated_on"
)
"""What is read of an incident; a reference's own column is named by a dot."""
FINAL_STATES = frozenset({"7", "8"})
"""Closed and canceled."""
_STATES = {
    "1": TicketState.NEW,
    "2": TicketState.IN_PROGRESS,
    "3": TicketState.WAITING,
    "4": TicketState.WAITING,
    "5": TicketState.WAITING,
    "6": TicketState.CLOSED,
    "7": TicketState.CLOSED,
    "8": TicketState.CLOSED,
}
_CANCELED = "8"
_CODES = {
    Outcome.FIXED: "Solution provided",
    Outcome.WONT_FIX: "No resolution provided",
    Outcome.DUPLICATE: "Duplicate",
    Outcome.NO_ACTION: "Resolved by caller",
}
"""The choices of a new instance, since Tokyo."""
_SYS_ID = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"\[(/?code)\]", re.IGNORECASE)


def verdict(status: int, _: Mapping[str, str], document: Any) -> DeliveryError | None:
    """What ServiceNow says that a status alone does not."""
    if isinstance(document, str) and "hibernating" in document.lower():
        said = f"HTTP {status}: the instance is hibernating; wake it at developer.servicenow.com"
        return DeliveryError(said, permanent=False, whole_queue=True)
    if not isinstance(document, dict) or not isinstance(document.get("error"), dict):
        return None
    said = f"{told(document, 'error', 'message')}: {told(document, 'error', 'detail')}"
    said = f"HTTP {status}: {said[:500]}"
    if "Transaction cancelled" in said:
        # It may have been done all the same.
        return DeliveryError(said, permanent=False, retry_after=15_000)
    if "Data Policy Exception" in said or "aborted by Business Rule" in said:
        hint = (
            "a rule of the instance wants other fields or another status; set them under `fields`"
        )
        return DeliveryError(f"{said}; {hint}", permanent=True)
    if 200 <= status < 300:
        return DeliveryError(f"an error in its answer: {said}", permanent=False)
    return None


def ticket_of(row: Mapping[str, Any], codes: Mapping[Outcome, str]) -> Ticket:
    """An incident. Raises DeliveryError where it is none."""
    ref, state = ref_of(row), told(row, "state")
    over = TicketState.CLOSED if told(row, "active") == "false" else TicketState.IN_PROGRESS
    outcomes = {code: outcome for outcome, code in reversed(tuple(codes.items()))}
    code = told(row, "close_code")
    fallback = Outcome.NO_ACTION if state == _CANCELED else Outcome.FIXED
    return Ticket(
        ref=ref,
        state=_STATES.get(state, over),
        outcome=outcomes.get(code, fallback),
        assignee=told(row, "assigned_to.user_name"),
        changed_by=told(row, "sys_updated_by"),
        changed_at=time_of(row, "sys_updated_on"),
        title=told(row, "short_description"),
    )


def comment_of(row: Mapping[str, Any]) -> Comment:
    """A comment or a work note."""
    said = told(row, "value")
    return Comment(
        id=told(row, "sys_id"),
        who=told(row, "sys_created_by"),
        text=said,
        at=time_of(row, "sys_created_on"),
        marker=marker_at_end(said),
    )


def ref_of(row: Mapping[str, Any]) -> str:
    """An incident's reference. Raises DeliveryError where it has none."""
    number, sys_id = told(row, "number"), told(row, "sys_id")
    if not number or "/" in number or not is_sys_id(sys_id):
        raise strange("the answer is no incident")
    return f"{number}/{sys_id}"


def is_sys_id(word: str) -> bool:
    """Whether a word is a row's id."""
    return _SYS_ID.fullmatch(word) is not None


def time_of(row: Mapping[str, Any], column: str) -> int:
    """The time (ms) in a column, 0 where there is none."""
    return told_at({column: f"{told(row, column)}Z"}, column)


def utc(at: int) -> str:
    """A time (ms) as the Table API writes it."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def no_code(said: str) -> str:
    """Text without `[code]`, behind which a journal takes what follows for HTML."""
    return _CODE.sub(r"[ \1 ]", said)


def close_codes(value: Any) -> dict[Outcome, str]:
    """The `close_code` for each outcome; those that are not given are a new instance's."""
    given = text_mapping(value)
    unknown = set(given) - {outcome.value for outcome in Outcome}
    if unknown:
        expected = ", ".join(outcome.value for outcome in Outcome)
        raise ValueError(f"expected {expected}, found {', '.join(sorted(unknown))}")
    return {outcome: given.get(outcome.value, code) for outcome, code in _CODES.items()}
