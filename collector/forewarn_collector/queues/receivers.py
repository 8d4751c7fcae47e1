"""The queues that an alertmanager.yml's receivers are."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping

from forewarn_collector.notifications import Templates
from forewarn_collector.queues.alertmanager_mail import AlertmanagerEmailQueue
from forewarn_collector.queues.alertmanager_webhook import AlertmanagerWebhookQueue
from forewarn_collector.queues.base import Queue
from forewarn_collector.queues.mail import Mailbox
from forewarn_collector.queues.notification import Recipient
from forewarn_collector.silencing import AlertmanagerFile, Email, Receiver, Webhook

_TLS_PORT = 465


def queues_of_receivers(
    file: AlertmanagerFile,
    templates: Templates,
    external_url: str,
    failed: Callable[[str], None] = lambda _: None,
) -> dict[str, Queue]:
    """A queue for each receiver that can be one, by its name.

    `failed` hears the name of a receiver whenever a template of its fails. Raises OSError
    (ssl.SSLError is one) for a certificate that can't be used.
    """
    found: dict[str, Queue] = {}
    for name, receiver in file.receivers.items():
        if receiver.webhook is not None:
            webhook = receiver.webhook
            recipient = Recipient(
                name, file.route, external_url, webhook.send_resolved, webhook.max_alerts
            )
            found[name] = AlertmanagerWebhookQueue(recipient, webhook, _tls(webhook))
        elif receiver.email is not None:
            email, recipient = receiver.email, Recipient(name, file.route, external_url)
            found[name] = AlertmanagerEmailQueue(
                recipient, email, _mailbox(email), templates, failed
            )
    return found


def queue_of_each(
    receivers: Mapping[str, Receiver], queues: Collection[str], default: str
) -> dict[str, str]:
    """The name of the queue that takes the tasks of each receiver.

    Its own or that of collector.yml with its name; else the default one; none where the receiver
    tells nobody.
    """
    found = {}
    for name, receiver in receivers.items():
        if name in queues:
            found[name] = name
        else:
            found[name] = default if receiver.others else ""
    return found


def _tls(webhook: Webhook) -> ssl.SSLContext | None:
    http = webhook.http
    if not (http.ca_file or http.cert_file):
        return None
    context = ssl.create_default_context(cafile=http.ca_file or None)
    if http.cert_file:
        context.load_cert_chain(http.cert_file, http.key_file or None)
    return context


def _mailbox(email: Email) -> Mailbox:
    security = "starttls" if email.require_tls else "none"
    if email.port == _TLS_PORT:
        security = "tls"
    return Mailbox(
        host=email.host,
        port=email.port,
        security=security,
        username=email.username,
        password=email.password.encode(),
        tls=ssl.create_default_context() if security != "none" else None,
        sender=email.sender,
        recipients=tuple(each.strip() for each in email.to.split(",")),
    )
