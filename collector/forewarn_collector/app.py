"""The composition root: makes every part of a collector, joins them, starts and stops them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.metadata import version
from urllib.parse import urlsplit

from aiohttp import web

from forewarn_collector.alertmanagers import Alertmanagers, Notices
from forewarn_collector.api.admission import Admission
from forewarn_collector.api.alertmanager import AlertmanagerApi
from forewarn_collector.api.auth import Gate, middleware
from forewarn_collector.api.events import EventsApi
from forewarn_collector.api.health import HealthApi
from forewarn_collector.api.hooks import HooksApi, hooks_of
from forewarn_collector.api.labels import LabelsApi
from forewarn_collector.api.measured import measured
from forewarn_collector.api.openapi import OpenApi
from forewarn_collector.api.operations import routes_of
from forewarn_collector.api.otlp import OtlpApi
from forewarn_collector.api.own import own_operations
from forewarn_collector.api.plans import PlansApi
from forewarn_collector.api.prometheus import PrometheusApi
from forewarn_collector.api.receiving import Receiving
from forewarn_collector.api.refusals import refusals
from forewarn_collector.api.reload import ReloadApi
from forewarn_collector.api.rules import RulesApi
from forewarn_collector.api.status import StatusApi
from forewarn_collector.api.stream import TaskStream
from forewarn_collector.api.targets import TargetsApi
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.api.write import WriteApi
from forewarn_collector.backlog import Backlogs, Reviewer
from forewarn_collector.calendars import CalendarWatch
from forewarn_collector.config import Address, CollectorConfig
from forewarn_collector.ingest import Limits, MetadataTable
from forewarn_collector.ingest.agents import AgentWatch, known_agents
from forewarn_collector.listening import (
    StartError,
    gate_of,
    make_data_directory,
    oidc_of,
    open_databases,
    ssl_context_of,
)
from forewarn_collector.metrics import Metrics
from forewarn_collector.observe import (
    admission_families,
    archive_families,
    backlog_families,
    calendar_families,
    event_families,
    ledger_families,
    notification_families,
    objective_families,
    observe_changes,
    observe_delivery,
    observe_evidence,
    queue_families,
    rule_families,
    silence_families,
    store_families,
    ticket_families,
)
from forewarn_collector.policies import member_of, policy_of
from forewarn_collector.promql import LiveWindows
from forewarn_collector.queues import MailReaders, Pause, QueueWorkers, TicketReaders
from forewarn_collector.routing import Routes
from forewarn_collector.rules import (
    Scheduler,
)
from forewarn_collector.rules.windows import windows_of
from forewarn_collector.rules_in_force import RulesInForce
from forewarn_collector.showing import TaskShow
from forewarn_collector.store import (
    Caretaker,
    EventLimits,
    SeriesLimits,
    Store,
    Thinning,
)
from forewarn_collector.tasks import (
    Ledger,
    Outbox,
    TaskChange,
    TaskKeeper,
    TaskQueries,
)
from forewarn_collector.tasks.backlogs import BacklogRows
from forewarn_collector.tasks.changes import Happenings
from forewarn_collector.tasks.evidence import StoreEvidence
from forewarn_collector.tasks.incidents import read_incidents
from forewarn_collector.tasks.received import is_received
from forewarn_collector.tasks.replies import Replies
from forewarn_collector.tasks.retrospect import Retrospect
from forewarn_collector.tasks.ticker import Ticker
from forewarn_collector.upkeep import Upkeep
from forewarn_collector.web import Parts, WebPages
from forewarn_wire import labels_from
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 5.0
_LONGEST_ADDRESS = 1 << 20
"""Bytes of a request's first line: as much as Go's servers take, for dashboards that use GET."""


class Collector:
    """One collector. Make it, `start` it, `stop` it."""

    def __init__(self, config: CollectorConfig, clock: Clock) -> None:
        """Make the parts. Raises ConfigError or StartError; nothing is running yet."""
        self._config = config
        self._clock = clock
        self._metrics = Metrics()
        external_url = config.external_url or self.url(config.listen.port)
        self._metrics.info.labels(version("forewarn"), external_url).set(1)
        incidents = read_incidents(config.incidents)
        self._routes = Routes(config, external_url, self._metrics)
        self._rules = RulesInForce(config, self._routes.names, self._metrics, clock)
        rules = self._rules.current
        make_data_directory(config.data)
        gate = gate_of(config, clock)
        by_customer = {item.customer: item.series for item in config.limits.customers}
        self._store = Store(
            config.data,
            retention=config.retention,
            clock=clock,
            max_bytes=config.retention_size,
            thinning=Thinning(config.thinning.after, config.thinning.hourly_after),
            limits=SeriesLimits(config.limits.series, by_value=by_customer),
            event_limits=EventLimits(config.events.retention, config.events.max_size),
        )
        self._ledger = Ledger(config.data, config.ledger, member_of(config))
        self._outbox = Outbox(self._ledger)
        self._stream = TaskStream(Happenings(self._ledger), self._metrics.task_streams.set)
        open_databases(self._store, self._ledger)
        self._store.keep(windows_of(rules))
        self._caretaker = Caretaker(self._store)
        self._show = TaskShow(
            TaskQueries(self._ledger), partial(self._store.append, own=True), external_url, clock
        )
        self._agents = AgentWatch()
        self._workers = QueueWorkers(
            self._ledger,
            self._routes.queues,
            clock,
            first_delivered=lambda took: observe_delivery(self._metrics, took),
            external_url=external_url,
        )
        self._alertmanagers = Alertmanagers(
            config.alertmanagers,
            Notices(
                config.resend_delay,
                external_url,
                config.external_labels,
                config.alert_relabel_configs,
            ),
            self._metrics,
            clock,
        )
        evidence = StoreEvidence(
            self._store, self._store.events, partial(observe_evidence, self._metrics)
        )
        self._place = self._routes.place(self._ledger, self._rules.alerting)
        self._place.load()
        policy = policy_of(config, incidents, external_url, self._place)
        self._levels = policy.levels
        self._readers = TicketReaders(
            self._ledger, self._routes.queues, clock, self._task_changed, policy.levels
        )
        self._hooks = hooks_of(self._routes.queues)
        replies = Replies(self._ledger, self._task_changed, policy.levels)
        self._mailboxes = MailReaders(replies, self._routes.queues, clock)
        self._keeper = TaskKeeper(self._ledger, evidence, policy, clock, self._task_changed)
        self._ticker = Ticker(
            clock, self._keeper.tick, lambda at: self._place.tick(self._keeper, at)
        )
        self._calendars = CalendarWatch(config.calendars.windows, config.calendars.files)
        self._scheduler = Scheduler(
            rules,
            self._store,
            append=partial(self._store.append, own=True),
            arrivals=self._store.arrivals(),
            sink=self._alertmanagers.sink(self._keeper),
            restored=[each for each in self._ledger.load_alerts() if not is_received(each)],
            clock=clock,
            live=LiveWindows(self._store),
            has_series=self._store.has_series,
            external_url=external_url,
            external_labels=dict(config.external_labels),
        )
        self._backlogs = Backlogs(
            BacklogRows(self._ledger), self._store, clock, config.evaluate_late
        )
        self._store.watch(self._backlogs.take)
        self._reviewer = Reviewer(
            self._backlogs,
            self._store,
            self._scheduler,
            Retrospect(self._ledger, evidence, policy, clock, self._task_changed),
            clock,
            external_url=external_url,
            external_labels=dict(config.external_labels),
        )
        # Apart from each other, so that a label is found while long queries run.
        self._query_threads = AnswerThreads("query", 2)
        self._answer_threads = AnswerThreads("answer", 2)
        self._event_threads = AnswerThreads("events", 2)
        self._metadata = MetadataTable()
        limits = Limits(max_body=config.max_body)
        self._admission = Admission(config.limits, config.max_body, self._metrics)
        self._receiving = Receiving(limits, self._admission, self._metrics)
        self._runner = web.AppRunner(
            self._application(gate),
            auto_decompress=False,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            max_line_size=_LONGEST_ADDRESS,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = False

    @property
    def routes(self) -> Iterable[web.AbstractRoute]:
        """Every route that is served."""
        return self._runner.app.router.routes()

    def url(self, port: int) -> str:
        """The address by which this machine reaches the collector at `port`."""
        scheme = "https" if self._config.tls else "http"
        host = self._config.listen.host
        host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - any address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        """Run everything and listen; returns once requests are answered. Raises StartError."""
        now = self._clock()
        since = now - self._config.retention
        self._agents.restore(self._store.latest(known_agents(), since, now), since, now)
        self._caretaker.start()
        await self._alertmanagers.start(self._scheduler.groups)
        self._backlogs.restore(time.monotonic())
        self._scheduler.start()
        self._ticker.start()
        self._reviewer.start()
        await self._workers.start()
        await self._readers.start()
        await self._mailboxes.start()
        await self._runner.setup()
        listen = self._config.listen
        site = web.TCPSite(
            self._runner,
            listen.host,
            listen.port,
            ssl_context=ssl_context_of(self._config),
        )
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            raise StartError(
                f"cannot listen on {listen}: {error.strerror or error}; "
                "is another collector running? --listen chooses another address"
            ) from error
        self._ready = True
        port = self._runner.addresses[0][1]
        upkeep = Upkeep(
            self._store,
            self._agents,
            self._metrics,
            self._metadata,
            labels_from({"job": "forewarn", "instance": str(Address(listen.host, port))}),
            self._clock,
            self._look_at_files,
        )
        self._tasks = [
            asyncio.create_task(upkeep.run(), name="upkeep"),
            asyncio.create_task(self._stream.run(), name="task stream"),
            asyncio.create_task(self._show.run(), name="series of tasks"),
        ]
        where = "" if listen.is_loopback else f", on {Address(listen.host, port)}"
        log.info("listening on %s%s (data in %s)", self.url(port), where, self._config.data)
        if not self._config.auth:
            log.warning("no token is needed (--no-auth): whoever reaches this port may write")
        elif not listen.is_loopback and self._config.tls is None:
            log.warning("tokens travel in the clear: give the collector TLS (tls: in its file)")

    async def stop(self) -> None:
        """Answer what was asked, then end every part, the last in the way of a signal last."""
        self._ready = False
        await self._runner.cleanup()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._query_threads.close()
        self._answer_threads.close()
        self._event_threads.close()
        self._receiving.close()
        await asyncio.to_thread(self._reviewer.stop)
        await asyncio.to_thread(self._ticker.stop)
        await asyncio.to_thread(self._scheduler.stop)
        await self._alertmanagers.stop()
        await self._mailboxes.stop()
        await self._readers.stop()
        await self._workers.stop()
        await asyncio.to_thread(self._caretaker.stop)
        await asyncio.to_thread(self._store.close)
        self._ledger.close()
        log.info("stopped")

    def reload(self) -> str:
        """Read the alertmanager.yml and the rule files anew; what was refused, if anything.

        On the event loop. What is refused leaves what runs in force.
        """
        refused = [self._routes.reload(self._place, self._workers), self.reload_rules()]
        return "\n".join(filter(None, refused))

    def reload_rules(self) -> str:
        """Read the rule files anew; bad ones leave the running rules in force. What was wrong."""
        refused = self._rules.reload()
        if not refused:
            self._store.keep(windows_of(self._rules.current))
            self._caretaker.rules_changed()
            self._scheduler.reload(self._rules.current)
        return refused

    def _look_at_files(self) -> None:
        if self._rules.changed():
            self.reload_rules()
        self._calendars.tick(self._clock())

    def _task_changed(self, changes: Sequence[TaskChange]) -> None:
        """Called on the scheduler's thread (or an API thread), after the ledger has the change."""
        self._workers.notify()
        self._stream.notify()
        self._show.notify()
        for change in changes:
            task = change.task
            log.info("%s %s (%s): %s", task.number, change.action, change.reason, task.title)
        observe_changes(self._metrics, changes, self._clock())

    def _application(self, gate: Gate) -> web.Application:
        listen, external = self._config.listen, urlsplit(self._config.external_url).hostname
        hosts = frozenset({listen.host, external or ""}) if listen.is_loopback else None
        gated = middleware(gate, self._metrics, hosts=hosts)
        queries = TaskQueries(self._ledger)
        parts = Parts(
            self._ledger,
            self._task_changed,
            self._place.silences,
            self._agents,
            self._rules.alerting,
            self._metrics,
            oidc_of(self._config),
            self._store,
            self._query_threads,
            self._scheduler.groups,
            lambda: self._rules.last_reload,
            self._outbox,
            lambda: self._routes.names,
            self._workers.pauses,
            self._workers.notify,
            self._config,
        )
        pages = WebPages(gate, parts, self._clock)
        application = web.Application(
            middlewares=[measured(self._metrics), refusals, pages.errors, gated],
            client_max_size=self._config.max_body,
        )
        signals = self._store, self._agents, self._metadata, self._receiving
        operations = own_operations(
            self._ledger,
            self._stream,
            self._place.silences,
            self._routes.names,
            self._task_changed,
            self._workers.notify,
            self._levels,
            self._pauses,
            self._clock,
        )
        application.add_routes(routes_of(operations))
        for part in (
            OpenApi(operations),
            WriteApi(*signals, self._clock),
            OtlpApi(*signals, self._config.otlp, self._clock),
            PrometheusApi(
                self._store, self._query_threads, self._config.query_timeout, self._clock
            ),
            LabelsApi(self._store, self._metadata, self._answer_threads),
            StatusApi(
                self._config,
                self._store,
                self._answer_threads,
                lambda: self._rules.last_reload,
                self._clock,
            ),
            EventsApi(self._store, self._event_threads),
            TargetsApi(self._agents),
            RulesApi(self._scheduler, self._answer_threads),
            PlansApi(self._scheduler, self._store),
            AlertmanagerApi(self._place, self._keeper, self._metrics, self._clock),
            HealthApi(self._metrics, self._why_not_ready),
            HooksApi(self._hooks, self._readers.look_now, self._metrics, self._clock),
            ReloadApi(self.reload),
            pages,
        ):
            application.add_routes(part.routes())
        application.on_shutdown.append(self._stream.end)
        application.on_cleanup.append(pages.end)
        self._metrics.add(lambda: store_families(self._store, self._agents))
        self._metrics.add(lambda: archive_families(self._store, self._caretaker))
        self._metrics.add(lambda: admission_families(self._admission))
        self._metrics.add(lambda: event_families(self._store))
        self._metrics.add(lambda: rule_families(self._scheduler))
        self._metrics.add(lambda: backlog_families(self._reviewer))
        self._metrics.add(lambda: notification_families(self._alertmanagers))
        self._metrics.add(
            lambda: ledger_families(queries, self._outbox, self._routes.names, self._clock())
        )
        self._metrics.add(lambda: ticket_families(self._readers))
        self._metrics.add(lambda: queue_families(self._routes.names, self._pauses()))
        self._metrics.add(lambda: silence_families(self._place.silences, self._clock()))
        self._metrics.add(
            lambda: calendar_families(self._calendars, self._keeper.escalations, self._clock())
        )
        self._metrics.add(
            lambda: objective_families(queries, self._config.objective, self._clock())
        )
        return application

    def _pauses(self) -> dict[str, Pause]:
        """The queues that are left alone now, those that can't be delivered to before others."""
        return self._mailboxes.pauses() | self._readers.pauses() | self._workers.pauses()

    def _why_not_ready(self) -> str:
        return "" if self._ready else "it is starting or stopping"
