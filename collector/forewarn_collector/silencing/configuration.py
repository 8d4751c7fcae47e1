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
class Email:
    """One of `email_configs`, the global settings filled in."""

    to: str
    sender: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    require_tls: bool = True


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver, and what of it can be a queue: at most one of the two. `kind` is what it is."""

    name: str
    line: int = 0
    webhook: Webhook | None = None
    email: Email | None = None


@dataclass(frozen=True, slots=True)
class AlertmanagerFile:
    """What the file says. `notes` are what is not taken, `problems` what makes it no such file.

    `shown` is the file's text with its secrets masked; `resolve_timeout` in ms.
    """

    route: Route = field(default_factory=lambda: Route(""))
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    inhibit_rules: tuple[InhibitRule, ...] = ()
    intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    resolve_timeout: int = RESOLVE_TIMEOUT
    notes: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    shown: str = ""
