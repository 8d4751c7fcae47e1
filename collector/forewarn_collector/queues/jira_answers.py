"""What Jira's answers say: issues, remarks, people, and what it refuses and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.tracker import Comment, Outcome, Ticket, TicketState
from forewarn_collector.queues.tracker_http import strange, told, told_at, told_list

REFERENCE = re.compile(r"[A-Z][A-Z0-9_]*-[0-9]+")
"""How an issue's key is written."""
MARKER_LENGTH = 110
"""Characters that `with_marker` adds, at most."""
FIELDS = ("summary", "status", "resolution", "assignee", "updated", "created", "description")
"""What is asked for of an issue."""
RESOLUTIONS: Mapping[Outcome, tuple[str, ...]] = {
    Outcome.FIXED: ("Fixed", "Done", "Resolved"),
    Outcome.NO_ACTION: ("Cannot Reproduce", "Not a Bug", "No Action", "Incomplete", "Invalid"),
    Outcome.WONT_FIX: ("Won't Fix", "Won't Do", "Declined", "Rejected", "Cancelled"),
    Outcome.DUPLICATE: ("Duplicate",),
}
"""How Jira calls an outcome: its own resolutions, and names that are usual, the likeliest first."""

_CATEGORIES = {"done": TicketState.CLOSED, "indeterminate": TicketState.IN_PROGRESS}
_WAITING = re.compile(r"wait|pending|on hold|blocked", re.IGNORECASE)
_MARKER = re.compile(r"^Reference: (forewarn-[A-Za-z0-9-]{1,64})\s*\Z", re.MULTILINE)
_NOFORMAT = "{noformat}"


class RefusedFieldsError(DeliveryError):
    """Jira refuses a request for some fields. `fields` are what it says of each."""

    def __init__(self, status: int, fields: Mapping[str, str]) -> None:
        said = "; ".join(f"{name}: {why}" for name, why in fields.items())
        hint = "set what is required under `fields:` of the queue, and take away what is unknown"
        if "issuetype" in fields:
            hint = "name one of the project's issue types as `issue_type:` of the queue"
        super().__init__(f"HTTP {status}: Jira refuses fields: {said}; {hint}", permanent=True)
        self.fields = fields


def verdict(status: int, headers: Mapping[str, str], document: Any) -> DeliveryError | None:
    """What Jira says that a status alone does not.

    A token that Jira does not know makes its requests those of nobody: issues are then not found,
    and lists empty, with a header that tells why.
    """
    login = headers.get("X-Seraph-LoginReason", "")
    denied = headers.get("X-Authentication-Denied-Reason", "")
    if "CAPTCHA" in denied or "AUTHENTICATION_DENIED" in login:
        said = f"HTTP {status}: Jira wants a captcha solved, as too many sign-ins failed"
        hint = "sign in once as the token's user in a browser, and mend the token"
        return DeliveryError(f"{said}; {hint}", permanent=False, whole_queue=True)
    if "AUTHENTICATED_FAILED" in login:
        said = f"HTTP {status}: Jira does not know the token"
        hint = "make a new one; in the cloud `user` is the address whose token it is"
        return DeliveryError(f"{said}; {hint}", permanent=False, whole_queue=True)
    if status == 400:
        errors = document.get("errors") if isinstance(document, dict) else None
        if isinstance(errors, dict) and errors:
            return RefusedFieldsError(status, {str(name): str(why) for name, why in errors.items()})
    if status == 409:
        return DeliveryError("HTTP 409: the issue is being changed by others", permanent=False)
    return None


def with_marker(body: str, marker: str) -> str:
    """A text with its marker as the last line. What was cut in preformatted text ends before it."""
    lines = [line.strip() for line in body.splitlines()]
    end = f"{_NOFORMAT}\n" if lines.count(_NOFORMAT) % 2 else ""
    return f"{body.rstrip()}\n{end}\nReference: {marker}"


def marker_in(text: str) -> str:
    """The marker of a text, empty where it has none.

    In the cloud a text comes back as it was converted twice, in which hyphens may be escaped.
    """
    found = _MARKER.search(text.replace("\\-", "-").replace("{-}", "-").replace("\r", ""))
    return found.group(1) if found else ""


def ticket(issue: Mapping[str, Any], *, cloud: bool) -> Ticket:
    """A ticket by an issue with `FIELDS`; who closed it only where its changelog is there."""
    ref, status = told(issue, "key"), told(issue, "fields", "status", "name")
    if not REFERENCE.fullmatch(ref) or not status:
        raise strange("the answer is no issue")
    state = state_of(issue)
    resolution = told(issue, "fields", "resolution", "name")
    return Ticket(
        ref=ref,
        state=state,
        outcome=_outcome(resolution) or _outcome(status) or Outcome.FIXED,
        assignee=told(issue, "fields", "assignee", "accountId" if cloud else "name"),
        changed_by=_moved_by(issue, cloud=cloud) if state is TicketState.CLOSED else "",
        changed_at=told_at(issue, "fields", "updated"),
        title=told(issue, "fields", "summary"),
    )


def state_of(issue: Mapping[str, Any]) -> TicketState:
    """Where an issue stands: by its status' category, and for waiting by its name."""
    category = told(issue, "fields", "status", "statusCategory", "key")
    state = _CATEGORIES.get(category, TicketState.NEW)
    if state is not TicketState.CLOSED and _WAITING.search(told(issue, "fields", "status", "name")):
        return TicketState.WAITING
    return state


def comment(found: Mapping[str, Any], *, cloud: bool) -> Comment:
    """A remark."""
    text = told(found, "body")
    return Comment(
        id=told(found, "id"),
        who=person(found.get("author"), cloud=cloud),
        text=text,
        at=told_at(found, "created"),
        marker=marker_in(text),
    )


def person(who: Any, *, cloud: bool) -> str:
    """How people are called: in the cloud as they are shown, on servers by the name they sign in
    with."""
    return told(who, "displayName" if cloud else "name")


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same for people."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return name.strip().casefold().replace("\u2019", "'")


def _outcome(name: str) -> Outcome | None:
    for outcome, names in RESOLUTIONS.items():
        if any(same_name(name, each) for each in names):
            return outcome
    return None


def _moved_by(issue: Mapping[str, Any], *, cloud: bool) -> str:
    """Who changed the status last."""
    moves = [each for each in told_list(issue, "changelog", "histories") if _moves(each)]
    last = max(moves, key=lambda each: told_at(each, "created"), default=None)
    return person(last.get("author"), cloud=cloud) if last is not None else ""


def _moves(history: Any) -> bool:
    return any(told(item, "field") == "status" for item in told_list(history, "items"))
