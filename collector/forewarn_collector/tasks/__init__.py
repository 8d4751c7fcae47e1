"""Tasks: the ledger, what alerts and people do to tasks, and the deliveries that follow."""

from forewarn_collector.tasks.alertmanager import AlertmanagerPlace
from forewarn_collector.tasks.audit import Actor, AuditEntry, AuditLog
from forewarn_collector.tasks.commands import TaskCommands, Terms
from forewarn_collector.tasks.errors import (
    ChangedError,
    LedgerError,
    NoSuchTaskError,
    RefusedError,
    TaskError,
    UnfitError,
)
from forewarn_collector.tasks.evidence_source import EvidenceSource
from forewarn_collector.tasks.gates import Gate, GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.keeper import TaskKeeper
from forewarn_collector.tasks.ledger import Ledger, StoredAlert
from forewarn_collector.tasks.listing import CursorError, TaskFilter, TaskOrder, TaskPage
from forewarn_collector.tasks.lost_hosts import LostHosts
from forewarn_collector.tasks.model import (
    Delivery,
    Member,
    Notify,
    Task,
    TaskChange,
    TaskTicket,
    TimelineEntry,
)
from forewarn_collector.tasks.once import KeyReusedError, Once, RepeatedError
from forewarn_collector.tasks.outbox import DeliveryStatus, Outbox, QueueCounts
from forewarn_collector.tasks.placing import ByRule, Place, Placing
from forewarn_collector.tasks.policy import Policy
from forewarn_collector.tasks.queries import TaskCount, TaskQueries
from forewarn_collector.tasks.service import ServiceLevels, Step
from forewarn_collector.tasks.standing import Standing
from forewarn_collector.tasks.ticket_rows import TicketLeft
from forewarn_collector.tasks.tickets import Tickets
from forewarn_collector.tasks.words import (
    STANDING,
    CloseReason,
    DeliveryAction,
    DeliveryState,
    OpenReason,
    ResolveReason,
    TaskState,
    TicketState,
    TimelineKind,
)

__all__ = [
    "STANDING",
    "Actor",
    "AlertmanagerPlace",
    "AuditEntry",
    "AuditLog",
    "ByRule",
    "ChangedError",
    "CloseReason",
    "CursorError",
    "Delivery",
    "DeliveryAction",
    "DeliveryState",
    "DeliveryStatus",
    "EvidenceSource",
    "Gate",
    "GatedAlert",
    "Hold",
    "HoldKind",
    "KeyReusedError",
    "Ledger",
    "LedgerError",
    "LostHosts",
    "Member",
    "NoSuchTaskError",
    "Notify",
    "Once",
    "OpenReason",
    "Outbox",
    "Place",
    "Placing",
    "Policy",
    "QueueCounts",
    "RefusedError",
    "RepeatedError",
    "ResolveReason",
    "ServiceLevels",
    "Standing",
    "Step",
    "StoredAlert",
    "Task",
    "TaskChange",
    "TaskCommands",
    "TaskCount",
    "TaskError",
    "TaskFilter",
    "TaskKeeper",
    "TaskOrder",
    "TaskPage",
    "TaskQueries",
    "TaskState",
    "TaskTicket",
    "Terms",
    "TicketLeft",
    "TicketState",
    "Tickets",
    "TimelineEntry",
    "TimelineKind",
    "UnfitError",
]
