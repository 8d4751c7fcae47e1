"""What the collector says about itself, for `/metrics` and, as samples, for its own store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_TASK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_STEP_SECONDS = (*_TASK_SECONDS, 14_400, 86_400, 259_200, 604_800)
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

Family = Metric
Read = Callable[[], Iterable[Family]]


class Metrics:
    """Every counter and histogram that the parts increase, on one registry of their own."""

    def __init__(self) -> None:
        # When a counter was made would double the number of series and tell nothing.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library has none
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        self.writes = counter(
            "forewarn_ingest_requests_total",
            "Write requests, by format and answer.",
            "format",
            "code",
        )
        self.received_alerts = counter(
            "forewarn_received_alerts_total",
            "Alerts posted to /api/v2/alerts: firing, resolved, invalid.",
            "status",
        )
        self.samples = counter(
            "forewarn_ingest_samples_total", "Samples accepted that were not there before."
        )
        self.duplicates = counter(
            "forewarn_ingest_duplicates_total", "Samples that were there already, by time."
        )
        self.rejected = counter(
            "forewarn_ingest_rejected_total", "Series and events refused, by reason.", "reason"
        )
        self.limited = counter(
            "forewarn_ingest_limited_total",
            "Requests told to come again later, or of which new series were refused, by limit.",
            "limit",
            "customer",
        )
        self.exemplars = counter(
            "forewarn_ingest_exemplars_dropped_total", "Exemplars that came; none is kept."
        )
        self.commit_seconds = Histogram(
            "forewarn_ingest_commit_seconds",
            "From a decoded remote write to its samples being durable, with others' in one commit.",
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.events = counter("forewarn_ingest_events_total", "Events accepted that were new.")
        self.forbidden = counter(
            "forewarn_http_forbidden_total",
            "Requests refused since the token's role or customer may not do that.",
        )
        self.unauthorized = counter(
            "forewarn_http_unauthorized_total", "Requests refused for want of a right token."
        )
        self.hooks = counter(
            "forewarn_hook_calls_total",
            "Calls of ticket systems, by queue and outcome (taken, refused, limited).",
            "queue",
            "outcome",
        )
        self.requests = Histogram(
            "forewarn_http_request_duration_seconds",
            "Time to answer, by path and code.",
            ("path", "code"),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.onset_to_task = Histogram(
            "forewarn_onset_to_task_seconds",
            "From the time of the sample that showed the fault to its task being open.",
            buckets=_TASK_SECONDS,
            registry=self.registry,
        )
        self.evidence = Histogram(
            "forewarn_evidence_seconds",
            "Time to gather the evidence of the tasks of a round, or of follow-ups.",
            buckets=_TASK_SECONDS,
            registry=self.registry,
        )
        self.evidence_missing = counter(
            "forewarn_evidence_missing_total",
            "Parts of evidence that failed or that there was no time for.",
        )
        self.task_steps = Histogram(
            "forewarn_task_step_seconds",
            "From the onset of a fault to its task being detected and opened; from there to its"
            " being delivered, acknowledged, resolved.",
            ("step",),
            buckets=_STEP_SECONDS,
            registry=self.registry,
        )
        self.rule_reloads = counter(
            "forewarn_rule_reloads_total", "Reloads of the rule files, by outcome.", "outcome"
        )
        self.alertmanager_reloads = counter(
            "forewarn_alertmanager_reloads_total",
            "Reloads of the alertmanager.yml, by outcome.",
            "outcome",
        )
        self.template_failures = counter(
            "forewarn_template_failures_total",
            "Templates of the alertmanager.yml that failed when a message was made.",
            "queue",
        )
        # There from the start, so that the first one of each shows as an increase.
        for step in ("detected", "opened", "delivered", "acknowledged", "resolved"):
            self.task_steps.labels(step)
        for outcome in ("taken", "refused"):
            self.rule_reloads.labels(outcome)
        self.sign_ins = counter(
            "forewarn_sign_ins_total",
            "Sign-ins on the page, by way and outcome.",
            "by",
            "outcome",
        )
        self.task_streams = Gauge(
            "forewarn_task_streams",
            "Clients that follow what happens to tasks.",
            registry=self.registry,
        )
        self.info = Gauge(
            "forewarn_collector_info",
            "1; its version, and where people reach it.",
            ("version", "external_url"),
            registry=self.registry,
        )
        self.rules_current = Gauge(
            "forewarn_rules_current",
            "Whether the rules in force are those of the files, 0 where these are refused.",
            registry=self.registry,
        )
        self.rules_current.set(1)
        self.alertmanager_current = Gauge(
            "forewarn_alertmanager_current",
            "Whether the alertmanager.yml is in force as it is, 0 where it is refused.",
            registry=self.registry,
        )
        self.alertmanager_current.set(1)
        self.notifications_sent = counter(
            "forewarn_notifications_sent_total", "Alerts that it took.", "alertmanager"
        )
        self.notifications_errors = counter(
            "forewarn_notifications_errors_total", "Alerts that it did not take.", "alertmanager"
        )
        self.notifications_dropped = counter(
            "forewarn_notifications_dropped_total",
            "Alerts that it did not take, or that had no more room in its queue.",
            "alertmanager",
        )
        self.notifications_latency = Histogram(
            "forewarn_notifications_latency_seconds",
            "Time until it took a batch of alerts.",
            ("alertmanager",),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )

    def add(self, read: Read) -> None:
        """Have `read` asked for further families whenever the metrics are read."""
        self.registry.register(_Asked(read))


@dataclass(frozen=True)
class _Asked(Collector):
    read: Read

    def collect(self) -> Iterable[Metric]:
        return self.read()

    def describe(self) -> Iterable[Metric]:
        return []


@dataclass(frozen=True)
class Table:
    """A gauge or a counter with labels, built row by row."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    counter: bool = False
    rows: list[tuple[tuple[str, ...], float]] = field(default_factory=list)

    def row(self, value: float, *labels: str) -> Table:
        """Add the value for these labels."""
        self.rows.append((labels, value))
        return self

    def family(self) -> Family:
        """The family in the library's own form."""
        kind = CounterMetricFamily if self.counter else GaugeMetricFamily
        family = kind(self.name, self.text, labels=self.labels)
        for labels, value in self.rows:
            family.add_metric(list(labels), value)
        return family
