"""An e-mail address that an alertmanager.yml names: the message says what its templates say.

What they do not say is as in every other e-mail of ours, see `mail.py`: a task is a thread. A
template that fails costs no message: that part is then our own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from email.utils import getaddresses
from typing import ClassVar

from forewarn_collector.notifications import Notification, Templates
from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.mail import EmailQueue, Mailbox, Words, compose
from forewarn_collector.queues.notification import Recipient
from forewarn_collector.rules.templates import TemplateError
from forewarn_collector.silencing import Email, TemplateText
from forewarn_collector.tasks import Delivery, DeliveryAction

log = logging.getLogger(__name__)

Render = Callable[[str, Notification, int], str]


class AlertmanagerEmailQueue(EmailQueue):
    """Sends each delivery as one message, as the templates of an e-mail receiver say.

    `failed` hears the queue's name whenever a template fails.
    """

    kind: ClassVar[str] = "alertmanager email"

    def __init__(
        self,
        name: str,
        recipient: Recipient,
        email: Email,
        mailbox: Mailbox,
        templates: Templates,
        failed: Callable[[str], None],
    ) -> None:
        super().__init__(name, mailbox)
        self._recipient = recipient
        self._email = email
        self._templates = templates
        self._failed = failed

    async def deliver(self, delivery: Delivery) -> str | None:
        """As of an address; an end is told only where the receiver wants to hear of it."""
        if delivery.action is DeliveryAction.RESOLVE and not self._recipient.send_resolved:
            return delivery.external_ref
        return await super().deliver(delivery)

    def mailbox_of(self, delivery: Delivery) -> Mailbox:
        """With the addresses that the templates give. Raises DeliveryError."""
        told = self._recipient.notification(delivery)
        to = self._addresses("to", self._email.to, told, delivery)
        sender = self._addresses("from", self._email.sender, told, delivery)
        return replace(self._mailbox, recipients=to, sender=sender[0])

    def compose(self, delivery: Delivery, mailbox: Mailbox) -> EmailMessage:
        """The message of a delivery, the same at every attempt."""
        told = self._recipient.notification(delivery)
        text, html = self._templates.text, self._templates.html
        email, at = self._email, delivery.created_at
        headers = {
            name: value
            for name, given in email.headers.items()
            if (value := self._said(text, f"header {name}", given, told, at)) is not None
        }
        words = Words(
            headers.pop("Subject", None),
            self._said(text, "text", email.text, told, at),
            self._said(html, "html", email.html, told, at),
            headers,
        )
        return compose(delivery, mailbox, words)

    def _said(
        self, render: Render, what: str, text: TemplateText | None, told: Notification, at: int
    ) -> str | None:
        if text is None:
            return None
        try:
            return render(text.text, told, at)
        except TemplateError as error:
            self._failed(self._name)
            log.warning(
                "queue %s: %s of its e-mail can't be carried out, and is our own: %s",
                self._name,
                what,
                error,
            )
            return None

    def _addresses(
        self, what: str, text: str, told: Notification, delivery: Delivery
    ) -> tuple[str, ...]:
        try:
            said = self._templates.text(text, told, delivery.created_at)
        except TemplateError as error:
            self._failed(self._name)
            raise DeliveryError(f"{what}: {error}", permanent=True) from error
        found = tuple(address for _, address in getaddresses([said]) if "@" in address)
        if not found:
            raise DeliveryError(f"{what} gives no address, but {said!r}", permanent=True)
        return found
