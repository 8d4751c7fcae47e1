"""Every operation of our own API, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from forewarn_collector.api.audit import AuditApi
from forewarn_collector.api.operations import Operation
from forewarn_collector.api.queues import QueuesApi
from forewarn_collector.api.silences import SilencesApi
from forewarn_collector.api.stream import TaskStream
from forewarn_collector.api.tasks import TasksApi
from forewarn_collector.queues import Pause
from forewarn_collector.tasks import (
    AuditLog,
    Ledger,
    Notify,
    Outbox,
    ServiceLevels,
    TaskCommands,
    TaskQueries,
)
from forewarn_collector.tasks.delivery_log import DeliveryLog
from forewarn_collector.tasks.replies import Replies
from forewarn_collector.tasks.silences import Silences
from forewarn_wire.clock import Clock


def own_operations(
    ledger: Ledger,
    stream: TaskStream,
    silences: Silences,
    queues: Collection[str],
    changed: Notify,
    owed: Callable[[], None],
    levels: ServiceLevels,
    pauses: Callable[[], Mapping[str, Pause]],
    clock: Clock,
) -> list[Operation]:
    """All of them; `changed` hears of what they do to tasks, `owed` that a queue is owed anew.

    `levels` say how tasks escalate, `pauses` are the queues that are left alone now. The stream
    comes before the task that might bear its name.
    """
    outbox, log = Outbox(ledger), DeliveryLog(ledger)
    parts = (
        stream,
        TasksApi(TaskQueries(ledger), TaskCommands(ledger, changed, levels=levels), clock),
        SilencesApi(silences, clock),
        QueuesApi(outbox, log, queues, owed, Replies(ledger, changed, levels), pauses, clock),
        AuditApi(AuditLog(ledger)),
    )
    return [operation for part in parts for operation in part.operations()]
