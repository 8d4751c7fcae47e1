"""Every table of the ledger: several modules, in one place for whoever makes them."""

from __future__ import annotations

from forewarn_collector.tasks.schema import metadata
from forewarn_collector.tasks.schema_escalations import escalations
from forewarn_collector.tasks.schema_idempotency import idempotency
from forewarn_collector.tasks.schema_silences import received_alerts, silences
from forewarn_collector.tasks.schema_tickets import queue_reads, ticket_comments, tickets

__all__ = [
    "escalations",
    "idempotency",
    "metadata",
    "queue_reads",
    "received_alerts",
    "silences",
    "ticket_comments",
    "tickets",
]
