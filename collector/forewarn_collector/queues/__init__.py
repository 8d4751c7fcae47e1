"""Queues: where tasks are delivered, and the workers that deliver."""

from __future__ import annotations

import os
from collections.abc import Mapping

from forewarn_collector.queues.base import ConfiguredQueue, DeliveryError, Queue
from forewarn_collector.queues.chat import ChatQueue
from forewarn_collector.queues.github import GithubTracker
from forewarn_collector.queues.gitlab import GitlabTracker
from forewarn_collector.queues.jira import JiraTracker
from forewarn_collector.queues.log import LogQueue
from forewarn_collector.queues.mail import EmailQueue
from forewarn_collector.queues.mail_reader import MailReaders
from forewarn_collector.queues.pagerduty import PagerDutyQueue
from forewarn_collector.queues.receivers import queues_of_each, queues_of_receivers
from forewarn_collector.queues.redmine import RedmineTracker
from forewarn_collector.queues.request_tracker import RequestTracker
from forewarn_collector.queues.servicenow import ServiceNowTracker
from forewarn_collector.queues.ticket_queue import TicketQueue, ticket_queue
from forewarn_collector.queues.ticket_reader import TicketReaders
from forewarn_collector.queues.tracker import Tracker
from forewarn_collector.queues.webhook import WebhookQueue
from forewarn_collector.queues.worker import BackOff, Pause, QueueWorkers
from forewarn_collector.queues.zendesk import ZendeskTracker
from forewarn_wire.document import Section
from forewarn_wire.readers import one_of

__all__ = [
    "QUEUE_KINDS",
    "TRACKERS",
    "BackOff",
    "ChatQueue",
    "DeliveryError",
    "EmailQueue",
    "LogQueue",
    "MailReaders",
    "PagerDutyQueue",
    "Pause",
    "Queue",
    "QueueWorkers",
    "TicketQueue",
    "TicketReaders",
    "WebhookQueue",
    "queues_from_section",
    "queues_of_each",
    "queues_of_receivers",
]

QUEUE_KINDS: tuple[type[ConfiguredQueue], ...] = (
    LogQueue,
    WebhookQueue,
    EmailQueue,
    PagerDutyQueue,
    ChatQueue,
)
"""Every kind of queue that is no ticket system."""

TRACKERS: tuple[type[Tracker], ...] = (
    GithubTracker,
    GitlabTracker,
    JiraTracker,
    ZendeskTracker,
    ServiceNowTracker,
    RedmineTracker,
    RequestTracker,
)
"""Every kind of ticket system."""


def queues_from_section(
    section: Section, environ: Mapping[str, str] = os.environ
) -> dict[str, Queue]:
    """The queues under `queues:` by their names; what is wrong goes to `section.problems`.

    `environ` is where `env:NAME` looks.
    """
    kinds = {kind.kind: kind for kind in QUEUE_KINDS}
    trackers = {kind.kind: kind for kind in TRACKERS}
    names = (*kinds, *trackers)
    queues: dict[str, Queue] = {}
    for name in section.names():
        before = len(section.problems)
        own = section.section(name)
        if own is None and len(section.problems) == before:
            section.problem(name, f"the queue {name} needs its kind", f"kind: {' | '.join(names)}")
        if own is None:
            continue
        kind = own.require("kind", one_of(*names), "")
        if kind not in names:
            continue
        queue: Queue | None
        if kind in kinds:
            queue = kinds[kind].from_section(name, own, environ)
        else:
            queue = ticket_queue(trackers[kind], name, own, environ)
        own.refuse_unknown()
        if queue is not None:
            queues[name] = queue
    return queues
