"""collector.yml as a value: every setting read once, with every mistake in it found at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from forewarn_collector.config_alertmanagers import (
    RESEND_DELAY,
    AlertmanagerConfig,
    read_alertmanagers,
    read_external_labels,
)
from forewarn_collector.config_calendars import CalendarsConfig, read_calendars
from forewarn_collector.config_damping import Damping, read_damping
from forewarn_collector.config_events import EventsConfig, read_events
from forewarn_collector.config_files import optional_file, required_file
from forewarn_collector.config_ledger import read_ledger
from forewarn_collector.config_limits import LimitsConfig, read_limits
from forewarn_collector.config_objective import ObjectiveConfig, read_objective
from forewarn_collector.config_oidc import OidcConfig, read_oidc
from forewarn_collector.config_otlp import OtlpSettings, read_otlp
from forewarn_collector.config_relabel import RelabelConfig, read_relabel_configs
from forewarn_collector.config_service import ServiceConfig, check_queues, read_service
from forewarn_collector.config_thinning import ThinningConfig, read_thinning
from forewarn_collector.config_tokens import Token, check_tokens, read_tokens
from forewarn_collector.config_urls import is_loopback
from forewarn_collector.silencing import receivers_in
from forewarn_wire import Labels, Problem
from forewarn_wire.document import Section, read_document
from forewarn_wire.durations import parse_duration
from forewarn_wire.readers import duration, size, text, texts

DEFAULT_LISTEN = "127.0.0.1:9815"
DEFAULT_DATA = "./forewarn-data"
_LEAST_SIZE = 16 << 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where the collector listens. `host` is a name or an address without brackets."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files by which the collector serves https."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """All settings of a collector; durations in milliseconds, sizes in bytes.

    `rules` are files or globs; without any, the rules that ship. `alertmanager` is a file in
    Alertmanager's own form, `alertmanagers` are those that are sent our alerts. `queues` and
    `incidents` are as they stand in the file: whoever knows their words reads them. `ledger` is
    None where that is a file in the data directory.
    """

    listen: Address = Address("127.0.0.1", 9815)
    data: Path = Path(DEFAULT_DATA)
    rules: tuple[str, ...] = ()
    retention: int = 400 * 86_400_000
    retention_size: int | None = None
    evaluation_interval: int = 15_000
    evaluate_late: int = 7 * 24 * 3_600_000
    external_url: str = ""
    auth: bool = True
    tokens: tuple[Token, ...] = ()
    oidc: OidcConfig | None = None
    tls: Tls | None = None
    max_body: int = 16 * 2**20
    query_timeout: int = 120_000
    ledger: URL | None = None
    damping: Damping = field(default_factory=Damping)
    incidents: tuple[Section, ...] = ()
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    default_queue: str = ""
    queues: Section | None = None
    external_labels: Labels = ()
    alertmanager: Path | None = None
    alertmanagers: tuple[AlertmanagerConfig, ...] = ()
    alert_relabel_configs: tuple[RelabelConfig, ...] = ()
    resend_delay: int = RESEND_DELAY
    events: EventsConfig = field(default_factory=EventsConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    thinning: ThinningConfig = field(default_factory=ThinningConfig)
    otlp: OtlpSettings = field(default_factory=OtlpSettings)
    calendars: CalendarsConfig = field(default_factory=CalendarsConfig)
    service: ServiceConfig = field(default_factory=ServiceConfig)
    problems: list[Problem] = field(default_factory=list)


class ConfigError(Exception):
    """The configuration can't be used; `problems` says why, each with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        # As they stand in the file, in whatever order its parts were read.
        self.problems = sorted(problems, key=lambda each: (each.file, each.line, each.column))
        super().__init__("\n".join(map(str, self.problems)))


def parse_listen(value: Any) -> Address:
    """Read `host:port`, `[v6]:port` or `:port` (all addresses). Raises ValueError."""
    host, colon, port = text(value).rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected an address such as {DEFAULT_LISTEN}, found {value!r}")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - as asked for


def parse_retention(value: Any) -> int:
    """A duration of at least a minute, in milliseconds. Raises ValueError."""
    milliseconds = parse_duration(text(value))
    if milliseconds < 60_000:
        raise ValueError(f"expected a minute or more, found {value!r}")
    return milliseconds


def read_config(content: str, file: str) -> CollectorConfig:
    """Read a collector.yml. What is wrong with it is in `.problems`; nothing is raised.

    The caller lets each queue read its part of `.queues`, adding to the same list of problems.
    """
    problems: list[Problem] = []
    document = read_document(content, file, problems)
    if document is None:
        return CollectorConfig(problems=problems)
    defaults = CollectorConfig()
    calendars = read_calendars(document)
    config = CollectorConfig(
        listen=document.take("listen", parse_listen, defaults.listen),
        data=Path(document.take("data", text, str(defaults.data))),
        rules=document.take("rules", texts, ()),
        retention=document.take("retention", parse_retention, defaults.retention),
        retention_size=document.take("retention_size", _retention_size, None),
        evaluation_interval=document.take(
            "evaluation_interval", _interval, defaults.evaluation_interval
        ),
        evaluate_late=document.take("evaluate_late", duration, defaults.evaluate_late),
        external_url=document.take("external_url", text, "").rstrip("/"),
        tokens=read_tokens(document),
        oidc=read_oidc(document),
        tls=_tls(document.section("tls")),
        max_body=document.take("max_body", size, defaults.max_body),
        query_timeout=document.take("query_timeout", _interval, defaults.query_timeout),
        ledger=read_ledger(document),
        damping=read_damping(document) or Damping(),
        incidents=tuple(document.sections("incidents")),
        objective=read_objective(document),
        default_queue=document.take("default_queue", text, ""),
        queues=document.section("queues"),
        external_labels=document.take("external_labels", read_external_labels, ()),
        alertmanager=optional_file(document, "alertmanager"),
        alertmanagers=read_alertmanagers(document),
        alert_relabel_configs=read_relabel_configs(document, "alert_relabel_configs"),
        resend_delay=document.take("resend_delay", _interval, defaults.resend_delay),
        events=read_events(document),
        limits=read_limits(document),
        thinning=read_thinning(document),
        otlp=read_otlp(document),
        calendars=calendars,
        service=read_service(document, calendars),
        problems=problems,
    )
    document.refuse_unknown()
    check_tokens(document, config.tokens)
    names = config.queues.names() if config.queues is not None else []
    receivers = receivers_in(config.alertmanager)
    check_queues(document, config.service, [*names, *receivers])
    return _with_default_queue(document, config, receivers)


def _retention_size(value: Any) -> int:
    found = size(value)
    if found < _LEAST_SIZE:
        raise ValueError(f"expected 16MiB or more, found {value!r}")
    return found


def _interval(value: Any) -> int:
    milliseconds = duration(value)
    if milliseconds < 1_000:
        raise ValueError(f"expected a second or more, found {value!r}")
    return milliseconds


def _tls(section: Section | None) -> Tls | None:
    if section is None:
        return None
    tls = Tls(required_file(section, "cert"), required_file(section, "key"))
    section.refuse_unknown()
    return tls


def _with_default_queue(
    document: Section, config: CollectorConfig, receivers: Sequence[str]
) -> CollectorConfig:
    """The only queue is the default one; of several, one must be named."""
    names = config.queues.names() if config.queues is not None else []
    known = ", ".join((*names, *receivers)) or "none"
    if config.default_queue and config.default_queue not in (*names, *receivers):
        document.problem(
            "default_queue",
            f"default_queue names {config.default_queue}, which is not under queues",
            f"queues given: {known}",
        )
    elif not config.default_queue and len(names) > 1:
        hint = f"name the queue of rules that name none: {known}"
        document.problem("queues", "several queues and no default_queue", hint)
    elif not config.default_queue and names:
        return replace(config, default_queue=names[0])
    return config
