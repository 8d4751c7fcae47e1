"""Tasks: the ledger, what alerts and people do to tasks, and the deliveries that follow."""

from forewarn_collector.tasks.commands import TaskCommands
from forewarn_collector.tasks.errors import LedgerError, NoSuchTaskError, RefusedError, TaskError
from forewarn_collector.tasks.keeper import EvidenceSource, TaskKeeper
from forewarn_collector.tasks.ledger import Ledger, StoredAlert
from forewarn_collector.tasks.model import (
    Delivery,
    DeliveryAction,
    DeliveryState,
    Member,
    Notify,
    OpenReason,
    ResolveReason,
    Task,
    TaskChange,
    TaskState,
    TimelineEntry,
    TimelineKind,
)
from forewarn_collector.tasks.outbox import DeliveryStatus, Outbox, QueueCounts
from forewarn_collector.tasks.queries import TaskCount, TaskFilter, TaskPage, TaskQueries

__all__ = [
    "Delivery",
    "DeliveryAction",
    "DeliveryState",
    "DeliveryStatus",
    "EvidenceSource",
    "Ledger",
    "LedgerError",
    "Member",
    "NoSuchTaskError",
    "Notify",
    "OpenReason",
    "Outbox",
    "QueueCounts",
    "RefusedError",
    "ResolveReason",
    "StoredAlert",
    "Task",
    "TaskChange",
    "TaskCommands",
    "TaskCount",
    "TaskError",
    "TaskFilter",
    "TaskKeeper",
    "TaskPage",
    "TaskQueries",
    "TaskState",
    "TimelineEntry",
    "TimelineKind",
]
