"""An alertmanager.yml as a value: what of it is taken, and what is not, with its places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forewarn_collector.silencing.inhibition import InhibitRule
from forewarn_collector.silencing.intervals import TimeInterval
from forewarn_collector.silencing.received import RESOLVE_TIMEOUT
from forewarn_collector.silencing.routes import Route
from forewarn_wire import Problem


@dataclass(frozen=True, slots=True)
class HttpClient:
    """How a webhook is asked. `authorization` is the header's value; files are PEM."""

    authorization: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One of `webhook_configs`."""

    url: str = field(repr=False)
    send_resolved: bool = True
    max_alerts: int = 0
    http: HttpClient = field(default_factory=HttpClient)


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A text that is a template, and where it begins in the file."""

    text: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A file that `templates` names."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Email:
    """One of `email_configs`, the global settings filled in.

    `to` and `sender` may be templates. `html` and `text` are None where they are not given;
    `headers` are by their names, Subject among them.
    """

    to: str
    sender: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    require_tls: bool = True
    send_resolved: bool = True
    html: TemplateText | None = None
    text: TemplateText | None = None
    headers: Mapping[str, TemplateText] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pager:
    """One of `pagerduty_configs`: a service by its key, at PagerDuty's Events API."""

    routing_key: str = field(repr=False)
    url: str
    send_resolved: bool = True


Told = Webhook | Email | Pager


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver: what of it can be queues, webhooks before e-mails before pagers.

    `others` are the kinds that it tells besides, which are no queues yet.
    """

    name: str
    line: int = 0
    told: tuple[Told, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def queues(self) -> Mapping[str, Told]:
        """Each by the name of its queue: the first has the receiver's own, others a number."""
        numbered = enumerate(self.told, 1)
        return {self.name if n == 1 else f"{self.name}#{n}": each for n, each in numbered}


@dataclass(frozen=True, slots=True)
class AlertmanagerFile:
    """What the file says. `notes` are what is not taken, `problems` what makes it no such file.

    `shown` is the file's text with its secrets masked; `resolve_timeout` in ms. `file` is its name.
    """

    route: Route = field(default_factory=lambda: Route(""))
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    inhibit_rules: tuple[InhibitRule, ...] = ()
    intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    resolve_timeout: int = RESOLVE_TIMEOUT
    notes: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    shown: str = ""
    file: str = ""
    templates: tuple[TemplateFile, ...] = ()
