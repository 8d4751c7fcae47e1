"""The queues that an alertmanager.yml's receivers are."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping

from forewarn_collector.notifications import Templates
from forewarn_collector.queues.alertmanager_mail import AlertmanagerEmailQueue
from forewarn_collector.queues.alertmanager_pager import AlertmanagerPagerQueue
from forewarn_collector.queues.alertmanager_webhook import AlertmanagerWebhookQueue
from forewarn_collector.queues.base import Queue
from forewarn_collector.queues.mail import Mailbox
from forewarn_collector.queues.notification import Recipient
from forewarn_collector.silencing import AlertmanagerFile, Email, Pager, Receiver, Webhook

_TLS_PORT = 465


def queues_of_receivers(
    file: AlertmanagerFile,
    templates: Templates,
    external_url: str,
    failed: Callable[[str], None] = lambda _: None,
    without: Collection[str] = (),
) -> dict[str, Queue]:
    """The queues that the receivers are, by their names, `without` some receivers.

    `failed` hears the name of a queue whenever a template of its fails. Raises OSError
    (ssl.SSLError is one) for a certificate that can't be used.
    """
    found: dict[str, Queue] = {}
    for name, receiver in file.receivers.items():
        if name in without:
            continue
        for queue, each in receiver.queues.items():
            most = each.max_alerts if isinstance(each, Webhook) else 0
            recipient = Recipient(name, file.route, external_url, each.send_resolved, most)
            if isinstance(each, Webhook):
                found[queue] = AlertmanagerWebhookQueue(queue, recipient, each, _tls(each))
            elif isinstance(each, Pager):
                found[queue] = AlertmanagerPagerQueue(recipient, each)
            else:
                found[queue] = AlertmanagerEmailQueue(
                    queue, recipient, each, _mailbox(each), templates, failed
                )
    return found


def queues_of_each(
    receivers: Mapping[str, Receiver], own: Collection[str], default: str
) -> dict[str, tuple[str, ...]]:
    """The names of the queues that take the tasks of each receiver.

    The one of collector.yml with its name, of those `own`; or else those that it is; or else the
    default one; none where the receiver tells nobody.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, receiver in receivers.items():
        if name in own:
            found[name] = (name,)
        elif receiver.told:
            found[name] = tuple(receiver.queues)
        else:
            found[name] = (default,) if receiver.others and default else ()
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
