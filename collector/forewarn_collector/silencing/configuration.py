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
    html: TemplateText | None = None
    text: TemplateText | None = None
    headers: Mapping[str, TemplateText] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver, and what of it can be a queue: at most one of webhook and e-mail.

    `others` are the kinds that it tells besides, which are no queues yet.
    """

    name: str
    line: int = 0
    webhook: Webhook | None = None
    email: Email | None = None
    others: tuple[str, ...] = ()

    @property
    def is_queue(self) -> bool:
        """Whether it can be delivered to as the file says."""
        return self.webhook is not None or self.email is not None


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
