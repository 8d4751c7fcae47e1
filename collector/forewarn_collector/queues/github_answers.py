"""What GitHub's answers say: issues, remarks, and what it refuses and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.markdown_markers import marker_in
from forewarn_collector.queues.tracker import Comment, Outcome, Ticket, TicketState
from forewarn_collector.queues.tracker_http import (
    answered_at,
    asked_wait,
    strange,
    told,
    told_at,
    told_list,
)

REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
"""How a repository is written."""

_LIMITED_WITHOUT_A_TIME = 60_000
"""GitHub asks for this wait (ms) where a secondary limit is told without one."""
_LONGEST_WAIT = 86_400_000
_OUTCOMES = {"not_planned": Outcome.WONT_FIX, "duplicate": Outcome.DUPLICATE}


class MovedError(DeliveryError):
    """What was asked for is at another address of the same API, under its number."""

    def __init__(self, to: str) -> None:
        super().__init__(f"moved to {to}", permanent=True)
        self.to = to


class NotAssignableError(DeliveryError):
    """Somebody can be assigned to nothing there; all else of the request is right."""


def verdict(
    base: str, status: int, headers: Mapping[str, str], document: Any
) -> DeliveryError | None:
    """What GitHub says that a status alone does not. `base` is the API's address."""
    said = told(document, "message")
    if 300 <= status < 400:
        to = headers.get("Location", "")
        numbered = to.startswith(f"{base}/repositories/")
        return MovedError(to) if numbered else None
    if status in {403, 429}:
        wait = _limited(headers, said)
        if wait is not None:
            said = f"HTTP {status}: {said or 'a rate limit'}"
            return DeliveryError(said, permanent=False, whole_queue=True, retry_after=wait)
    if status == 403 and "archived" in said:
        return archived()
    if status == 403 and "is locked" in said:
        hint = "unlock its conversation, or give the token's owner the role Triage"
        return DeliveryError(f"HTTP 403: {said}; {hint}", permanent=True)
    if status == 403 and (needed := headers.get("X-Accepted-GitHub-Permissions")):
        hint = f"give the token the permission {needed}"
        return DeliveryError(f"HTTP 403: {said}; {hint}", permanent=False, whole_queue=True)
    if status == 422 and _refused_fields(document) == {"assignees"}:
        said = f"HTTP 422: {said}: assignees"
        return NotAssignableError(said, permanent=True)
    if status == 410 and "disabled" in said:
        return disabled()
    return None


def label_names(issue: Mapping[str, Any]) -> list[str]:
    """The labels of an issue."""
    return [name for label in told_list(issue, "labels") if (name := told(label, "name"))]


def ticket(issue: Mapping[str, Any]) -> Ticket:
    """A ticket by an issue."""
    repository = "/".join(told(issue, "repository_url").split("/")[-2:])
    number, state = told(issue, "number"), told(issue, "state")
    if not number.isdigit() or not REPOSITORY.fullmatch(repository) or not state:
        raise strange("the answer is no issue")
    closed = state == "closed"
    return Ticket(
        ref=f"{repository}#{number}",
        state=TicketState.CLOSED if closed else TicketState.NEW,
        outcome=_OUTCOMES.get(told(issue, "state_reason"), Outcome.FIXED),
        assignee=told(issue, "assignee", "login"),
        changed_by=told(issue, "closed_by", "login") if closed else "",
        changed_at=told_at(issue, "updated_at"),
        title=told(issue, "title"),
    )


def comment(found: Mapping[str, Any]) -> Comment:
    """A remark."""
    text = told(found, "body")
    return Comment(
        id=told(found, "id"),
        who=told(found, "user", "login"),
        text=text,
        at=told_at(found, "created_at"),
        marker=marker_in(text),
    )


def _limited(headers: Mapping[str, str], said: str) -> int | None:
    """How long (ms) a rate limit lasts; None where it is none.

    In the order that GitHub documents: `Retry-After`, else the reset of a limit that is used up,
    else a minute where the message tells of a secondary limit.
    """
    wait = asked_wait(headers)
    if wait is not None:
        return wait
    reset, now = headers.get("X-RateLimit-Reset", ""), answered_at(headers)
    used_up = headers.get("X-RateLimit-Remaining") == "0" and reset.isascii() and reset.isdigit()
    if used_up and now is not None:
        return min(max(0, int(reset[:12]) * 1000 - now), _LONGEST_WAIT)
    if used_up:
        return _LIMITED_WITHOUT_A_TIME
    return _LIMITED_WITHOUT_A_TIME if "rate limit" in said.lower() else None


def _refused_fields(document: Any) -> set[str]:
    return {told(error, "field") for error in told_list(document, "errors")}


def archived() -> DeliveryError:
    """A repository that nobody can write to."""
    said = "HTTP 403: the repository is archived; name another, or have it taken from the archive"
    return DeliveryError(said, permanent=False, whole_queue=True)


def disabled() -> DeliveryError:
    """A repository without issues."""
    said = "HTTP 410: the repository's issues are turned off; turn them on in its settings"
    return DeliveryError(said, permanent=False, whole_queue=True)
