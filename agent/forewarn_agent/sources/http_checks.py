"""HTTP checks by interval, each in a thread of its own; a change of the verdict is sent at once.

Names: blackbox_exporter's, with `job="blackbox"`, `check` and `target` beside the instance.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from forewarn_agent.settings import HttpCheck
from forewarn_agent.sources.base import Handle, Loop, Reading, Series, SourceContext
from forewarn_agent.sources.http_exchange import PHASES, Failure
from forewarn_agent.sources.http_probe import Outcome, probe
from forewarn_wire import Event, Severity

if TYPE_CHECKING:
    import ssl

JOB = "blackbox"

_METRICS = (
    "probe_success",
    "probe_duration_seconds",
    "probe_dns_lookup_time_seconds",
    "probe_http_status_code",
    "probe_http_content_length",
    "probe_http_uncompressed_body_length",
    "probe_http_redirects",
    "probe_http_ssl",
    "probe_http_version",
    "probe_failed_due_to_regex",
    "probe_ip_protocol",
)
# A thread that is still out so long after its time-out hangs in the name service.
_GRACE_SECONDS = 0.25


class HttpChecksSource:
    """`probe_*`, and the events check_failed and check_recovered."""

    name = "http_checks"

    def __init__(self, context: SourceContext, settings: Sequence[HttpCheck]) -> None:
        self._instance = context.instance
        self._tls = _TlsContexts()
        self._checks = [_Check(context, one) for one in settings]
        self._loop: Loop | None = None

    def start(self, loop: Loop) -> None:
        """Make every check now, then at its interval."""
        self._loop = loop
        for check in self._checks:
            self._begin(loop, check)

    def collect(self, now: int) -> list[Reading]:
        """The readings of the last outcome of every check that has one."""
        readings: list[Reading] = []
        for check in self._checks:
            readings += check.readings()
        return readings

    def stop(self) -> None:
        """Call off the timers; what a thread still brings is not listened to."""
        self._loop = None
        for check in self._checks:
            for timer in (check.next_begin, check.expiry):
                if timer is not None:
                    timer.cancel()

    def _begin(self, loop: Loop, check: _Check) -> None:
        seconds = check.settings.interval / 1000
        check.next_begin = loop.call_later(seconds, partial(self._begin, loop, check))
        if check.running is not None:
            return
        run = object()
        check.running = run
        wait = check.settings.timeout / 1000 + _GRACE_SECONDS
        check.expiry = loop.call_later(wait, partial(self._expired, loop, check))
        threading.Thread(
            target=self._run, args=(loop, check, run), name=f"check {check.name}", daemon=True
        ).start()

    def _run(self, loop: Loop, check: _Check, run: object) -> None:
        """On the check's own thread."""
        try:
            outcome = probe(check.settings, self._tls)
        except Exception as error:  # noqa: BLE001 - a check that breaks has failed
            outcome = Outcome(Failure.PROTOCOL, f"{type(error).__name__}: {error}", 0.0)
        loop.call_soon_threadsafe(partial(self._ended, loop, check, run, outcome))

    def _ended(self, loop: Loop, check: _Check, run: object, outcome: Outcome) -> None:
        if check.running is run:
            check.running = None
            if check.expiry is not None:
                check.expiry.cancel()
            self._judge(loop, check, outcome)

    def _expired(self, loop: Loop, check: _Check) -> None:
        """The thread hangs; it stays the only one of its check until it comes back."""
        seconds = check.settings.timeout / 1000
        message = "no answer in time; the name service does not answer"
        self._judge(loop, check, Outcome(Failure.TIMEOUT, message, seconds))

    def _judge(self, loop: Loop, check: _Check, outcome: Outcome) -> None:
        if self._loop is None:
            return
        before, check.outcome = check.outcome, outcome
        succeeded = outcome.failure is None
        if before is not None and (before.failure is None) == succeeded:
            return
        loop.send_now(check.readings())
        if before is None and succeeded:
            return
        kind = "check_recovered" if succeeded else "check_failed"
        attributes = {
            "status": str(outcome.status),
            "duration_seconds": f"{outcome.duration:.3f}",
        }
        if outcome.failure is not None:
            attributes["reason"] = outcome.failure.value
        at = loop.clock()
        event = Event(
            time=at,
            type=kind,
            severity=Severity.INFO if succeeded else Severity.ERROR,
            labels=check.labels,
            body=f"{check.name}: {outcome.message}",
            uid=f"{kind}/{self._instance}/{check.name}/{at}",
            attributes=attributes,
        )
        loop.emit([event])


class _Check:
    def __init__(self, context: SourceContext, settings: HttpCheck) -> None:
        self.settings = settings
        self.name = settings.name
        self.outcome: Outcome | None = None
        self.running: object | None = None
        self.next_begin: Handle | None = None
        self.expiry: Handle | None = None
        labels = {"check": settings.name, "target": _without_secrets(settings.url)}
        self.labels = context.label_set(JOB, labels)

        def series(metric: str, **more: str) -> Series:
            return context.series(metric, {**labels, **more}, job=JOB)

        self._series = [series(metric) for metric in _METRICS]
        self._phases = [series("probe_http_duration_seconds", phase=phase) for phase in PHASES]
        self._expiry = series("probe_ssl_earliest_cert_expiry")

    def readings(self) -> list[Reading]:
        """The readings of the last outcome, none before the first."""
        outcome = self.outcome
        if outcome is None:
            return []
        # Microseconds: what lies below is noise, and costs the collector's disk most of all.
        phases = {phase: round(outcome.phases[phase], 6) for phase in PHASES}
        values = (
            float(outcome.failure is None),
            round(outcome.duration, 6),
            phases["resolve"],
            float(outcome.status),
            float(outcome.length),
            float(outcome.body_length),
            float(outcome.redirects),
            float(outcome.is_tls),
            outcome.version,
            float(outcome.failure is Failure.TEXT),
            float(outcome.ip_protocol),
        )
        readings = list(zip(self._series, values, strict=True))
        readings += zip(self._phases, phases.values(), strict=True)
        if outcome.expiry is not None:
            readings.append((self._expiry, outcome.expiry))
        return readings


class _TlsContexts:
    """TLS contexts by file of certificates, made once: each costs 20 ms and 5 MB."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contexts: dict[str, tuple[float, ssl.SSLContext]] = {}

    def __call__(self, ca_file: str) -> ssl.SSLContext:
        """The context for a file, "" for the system's certificates. Raises OSError."""
        import ssl  # here, for checks of https only

        changed = os.stat(ca_file).st_mtime if ca_file else 0.0
        with self._lock:
            known = self._contexts.get(ca_file)
            if known is None or known[0] != changed:
                known = (changed, ssl.create_default_context(cafile=ca_file or None))
                self._contexts[ca_file] = known
            return known[1]


def _without_secrets(url: str) -> str:
    """A URL without user name and password, which must not become a label."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
