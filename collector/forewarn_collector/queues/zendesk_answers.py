"""Zendesk's answers, read: tickets, comments, people, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.text_markers import marker_at_end
from forewarn_collector.queues.tracker import Comment, Ticket, TicketState
from forewarn_collector.queues.tracker_http import strange, told, told_at, told_list

FILE = "Attached: "
"""What a note says that is there for a file, before the file's name."""
_STATES = {
    "new": TicketState.NEW,
    "open": TicketState.IN_PROGRESS,
    "pending": TicketState.WAITING,
    "hold": TicketState.WAITING,
    "solved": TicketState.CLOSED,
    "closed": TicketState.CLOSED,
}


def verdict(status: int, _: Mapping[str, str], document: Any) -> DeliveryError | None:
    """What Zendesk says that a status alone does not."""
    if status == 409:
        said = "HTTP 409: the ticket was being changed by somebody else"
        return DeliveryError(said, permanent=False)
    error = told(document, "error")
    if status == 400 and error == "IdempotentRequestError":
        # A ticket was made with this key, from other settings: it will be found by its marker.
        said = f"HTTP 400: {told(document, 'description')}"
        return DeliveryError(said, permanent=False, retry_after=60_000)
    if status == 422 and error == "RecordInvalid":
        details = document.get("details")
        said = "; ".join(_details(details) if isinstance(details, dict) else [])
        if "closed prevents ticket update" in said:
            hint = "it takes nothing more; a reopening goes on in a follow-up ticket"
        else:
            hint = "set what is missing under `fields`, or have it not required for its status"
        return DeliveryError(f"HTTP 422: fields are refused: {said}; {hint}", permanent=True)
    return None


def _details(details: Mapping[str, Any]) -> list[str]:
    return [
        told(problem, "description")
        for problems in details.values()
        if isinstance(problems, list)
        for problem in problems
    ]


def has_more(document: Any) -> bool:
    """Whether a list goes on, on another page of cursors."""
    meta = document.get("meta")
    return isinstance(meta, dict) and meta.get("has_more") is True


def state_of(ticket: Mapping[str, Any]) -> TicketState:
    """Custom statuses too have one of these as their category."""
    return _STATES.get(told(ticket, "status"), TicketState.IN_PROGRESS)


def ticket_of(found: Mapping[str, Any], users: Any) -> Ticket:
    """A ticket; `users` are those that came with it. Raises DeliveryError where it is none."""
    ref = told(found, "id")
    if not ref.isdigit() or not told(found, "status"):
        raise strange("the answer is no ticket")
    return Ticket(
        ref=ref,
        state=state_of(found),
        assignee=names_of(users).get(told(found, "assignee_id"), ""),
        changed_at=told_at(found, "updated_at"),
        title=told(found, "subject"),
    )


def names_of(users: Any) -> dict[str, str]:
    """The names of people by their ids."""
    return {told(user, "id"): name_of(user) for user in told_list(users)}


def name_of(user: Any) -> str:
    """What a person is called here: the e-mail address, else the name."""
    return told(user, "email") or told(user, "name")


def comment_of(found: Mapping[str, Any]) -> Comment:
    """A comment, whose author's name is put in as `who`."""
    said = told(found, "plain_body") or told(found, "body")
    said = said.replace("&nbsp;", " ")
    return Comment(
        id=told(found, "id"),
        who=told(found, "who"),
        text=said,
        at=told_at(found, "created_at"),
        marker=marker_at_end(said),
    )


def file_names(comment: Mapping[str, Any]) -> list[str]:
    """The names of the files on a comment."""
    return [told(file, "file_name") for file in told_list(comment, "attachments")]


def carries_a_file(comment: Mapping[str, Any]) -> bool:
    """Whether a comment is there for a file of ours, and nothing else."""
    said = (told(comment, "plain_body") or told(comment, "body")).strip()
    return any(said == f"{FILE}{name}" for name in file_names(comment))
