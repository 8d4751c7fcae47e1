"""Queues: where tasks are delivered, and the workers that deliver."""

from __future__ import annotations

import os
from collections.abc import Mapping

from forewarn_collector.queues.base import DeliveryError, Queue
from forewarn_collector.queues.log import LogQueue
from forewarn_collector.queues.mail import EmailQueue
from forewarn_collector.queues.receivers import queues_of_each, queues_of_receivers
from forewarn_collector.queues.webhook import WebhookQueue
from forewarn_collector.queues.worker import BackOff, QueueWorkers
from forewarn_wire.document import Section
from forewarn_wire.readers import one_of

__all__ = [
    "QUEUE_KINDS",
    "BackOff",
    "DeliveryError",
    "EmailQueue",
    "LogQueue",
    "Queue",
    "QueueWorkers",
    "WebhookQueue",
    "queues_from_section",
    "queues_of_each",
    "queues_of_receivers",
]

QUEUE_KINDS: tuple[type[Queue], ...] = (LogQueue, WebhookQueue, EmailQueue)
"""Every kind of queue there is."""


def queues_from_section(
    section: Section, environ: Mapping[str, str] = os.environ
) -> dict[str, Queue]:
    """The queues under `queues:` by their names; what is wrong goes to `section.problems`.

    `environ` is where `env:NAME` looks.
    """
    kinds = {kind.kind: kind for kind in QUEUE_KINDS}
    queues: dict[str, Queue] = {}
    for name in section.names():
        before = len(section.problems)
        own = section.section(name)
        if own is None and len(section.problems) == before:
            section.problem(name, f"the queue {name} needs its kind", f"kind: {' | '.join(kinds)}")
        if own is None:
            continue
        kind = own.require("kind", one_of(*kinds), "")
        if kind in kinds:
            queue = kinds[kind].from_section(name, own, environ)
            own.refuse_unknown()
            if queue is not None:
                queues[name] = queue
    return queues
