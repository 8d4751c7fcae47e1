"""The words of tasks: states, reasons, what a timeline tells of, what a delivery asks."""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    """For something outside, until a time."""
    RESOLVED = "resolved"
    CLOSED = "closed"
    """For good: what comes after is another task."""

    @property
    def stands(self) -> bool:
        """Whether there is still something to do."""
        return self not in {TaskState.RESOLVED, TaskState.CLOSED}


STANDING = tuple(state for state in TaskState if state.stands)


class CloseReason(StrEnum):
    """What became of a task that was closed."""

    FIXED = "fixed"
    NO_ACTION = "no_action"
    DUPLICATE = "duplicate"
    WONT_FIX = "wont_fix"


class OpenReason(StrEnum):
    """Why a firing alert led to what it led to."""

    NEW = "new"
    """No task of this key yet, or the last one was resolved too long ago: a task opens."""
    REOPENED = "reopened"
    """The last task of this key was resolved not longer than `reopen_within` ago."""
    JOINED = "joined"
    """The task of this key is open; the alert becomes one more member of it."""
    ALREADY_MEMBER = "already_member"
    """The alert is a member: the same change came twice, or its input came back."""
    RESOLVED_BY_PERSON = "resolved_by_person"
    """A person ended the task while this alert fired; it must end before it counts again."""
    MUTED = "muted"
    """The last task of this key was closed as won't fix, or as a duplicate of one that stands."""
    FLAPPING = "flapping"
    """It reopens, and did so too often of late: its queue hears no more until it is calm."""


class ResolveReason(StrEnum):
    """Why a task was resolved."""

    ALERT_ENDED = "alert_ended"
    RULE_REMOVED = "rule_removed"
    PERSON = "person"
    RETROSPECTIVE = "retrospective"
    """It was over before its data came."""
    CALMED = "calmed"
    """It flapped, and its alerts have stayed away since."""


class TimelineKind(StrEnum):
    """What an entry of a task's timeline tells of."""

    OPENED = "opened"
    REOPENED = "reopened"
    JOINED = "joined"
    LEFT = "left"
    SEVERITY = "severity"
    INPUT_MISSING = "input_missing"
    INPUT_BACK = "input_back"
    HELD = "held"
    """What held its alert back before it opened, and how long."""
    LINKED = "linked"
    """Another task of the same problem, or one that this is a duplicate of."""
    FLAPPING = "flapping"
    CALMED = "calmed"
    QUIET = "quiet"
    """Its alerts are silenced, or the like: its queue hears nothing."""
    LOUD = "loud"
    """It is quiet no more."""
    UNDER = "under"
    """Another task holds it: that of its lost host."""
    ALONE = "alone"
    """It is under no other task any more."""
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    ACKNOWLEDGED = "acknowledged"
    STARTED = "started"
    WAITING = "waiting"
    WAIT_OVER = "wait_over"
    COMMENT = "comment"
    RESOLVED = "resolved"
    CLOSED = "closed"
    RETROSPECT = "retrospect"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"
    TICKET = "ticket"
    """Its ticket was moved in its tracker, or is gone."""


class DeliveryAction(StrEnum):
    """What a delivery asks of the queue."""

    OPEN = "open"
    UPDATE = "update"
    REOPEN = "reopen"
    RESOLVE = "resolve"


class DeliveryState(StrEnum):
    """Where a delivery stands: `owed` until the queue took it, or refused it for good."""

    OWED = "owed"
    DELIVERED = "delivered"
    DEAD = "dead"


class TicketState(StrEnum):
    """Where a ticket stands, whatever its tracker calls that."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    CLOSED = "closed"
