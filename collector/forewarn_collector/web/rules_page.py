"""The pages of rules: how each fares, one with what it finds, and a box to try expressions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from aiohttp import web
from markupsafe import Markup
from multidict import MultiDict

from forewarn_collector.api.narrowing import customer_of, error_for, is_of, rule_is_for, source_for
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.promql import Query, compile_query
from forewarn_collector.promql.pretty import pretty
from forewarn_collector.promql.text import general_float
from forewarn_collector.rules import (
    Alert,
    AlertingRule,
    AlertState,
    GroupStatus,
    LastReload,
    RuleStatus,
)
from forewarn_collector.rules.testing.coverage import cases_by_alert
from forewarn_collector.store import SeriesSource, Store
from forewarn_collector.tasks import Task, TaskFilter, TaskOrder, TaskQueries
from forewarn_collector.tasks.evidence_values import measured
from forewarn_collector.web.backtests import DAYS, Backtests, BusyError
from forewarn_collector.web.layout import Site
from forewarn_collector.web.signal_plots import (
    MOST_NOTES,
    RANGE,
    RANGES,
    REFUSED,
    deadline,
    drawn,
    evaluated,
    plot_of,
    span_of,
    told,
)
from forewarn_collector.web.task_facts import TaskFacts

_SHOWN = (("", "All"), ("active", "With alerts"), ("failing", "Failing"), ("untested", "Untested"))
_MOST_ALERTS = 50
_MOST_ROWS = 50
_MOST_TASKS = 10
_LONGEST = 10_000

Groups = Callable[[], Sequence[GroupStatus]]


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule as the list shows it. `cases` are tests that have it fire; `states` count alerts.

    `error` is why its last evaluation failed, as its reader may know it.
    """

    status: RuleStatus
    states: Mapping[str, int]
    cases: int
    error: str

    @property
    def key(self) -> str:
        """The rule's key."""
        return self.status.rule.key

    @property
    def alerts(self) -> bool:
        """Whether it alerts, and does not record."""
        return isinstance(self.status.rule, AlertingRule)

    @property
    def address(self) -> str:
        """Of its page."""
        return f"/rules/{quote(self.key, safe='')}"

    @property
    def milliseconds(self) -> float:
        """What its last evaluation took."""
        return self.status.evaluation_seconds * 1000


@dataclass(frozen=True, slots=True)
class Tried:
    """An expression that was tried: its form, its plot and its values now, or what is wrong."""

    text: str
    pretty: str = ""
    plot: Markup = field(default_factory=Markup)
    rows: Sequence[tuple[str, str]] = ()
    more: int = 0
    problem: str = ""
    notes: Sequence[str] = ()


class RulesPages:
    """All of them."""

    def __init__(
        self,
        site: Site,
        groups: Groups,
        last_reload: Callable[[], LastReload],
        queries: TaskQueries,
        store: Store,
        threads: AnswerThreads,
        backtests: Backtests,
    ) -> None:
        self._site = site
        self._groups = groups
        self._last_reload = last_reload
        self._queries = queries
        self._store = store
        self._threads = threads
        self._backtests = backtests
        self._tests: tuple[int, Mapping[tuple[str, str], int]] | None = None

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (
            web.get("/rules", self._list),
            web.get("/try", self._try),
            web.get("/rules/{key}", self._one),
            self._site.form("/rules/{key}/backtest", self._ask),
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        customer = customer_of(request)
        asked = {name: request.query.get(name, "").strip() for name in ("q", "show")}
        known = await self._facts(customer)
        groups = [
            (group, facts)
            for group, rules in known
            if (facts := [each for each in rules if _is_asked(each, group, asked)])
        ]
        every = [each for _, rules in known for each in rules]
        alerting = [each for each in every if each.alerts]
        return self._site.page(
            request,
            "rules.html",
            asked=asked,
            groups=groups,
            total=len(every),
            firing=sum(bool(each.states.get(AlertState.FIRING)) for each in alerting),
            failing=sum(bool(each.error) for each in every),
            tested=sum(bool(each.cases) for each in alerting),
            alerting=len(alerting),
            # What was refused may name things of anybody.
            refused="" if customer else self._last_reload().refused,
            shown=_SHOWN,
        )

    async def _one(self, request: web.Request) -> web.StreamResponse:
        facts = await self._known(request)
        rule, own, now = facts.status.rule, customer_of(request), self._site.clock()
        asked = request.query.get("range", RANGE)
        days = _days(request.query.get("days", ""))
        source = source_for(own, self._store)
        tried = await self._threads.run(_tried, source, rule.query, rule.expr, asked, now)
        tasks, total = await asyncio.to_thread(self._tasks, rule.key, own)
        alerts = [alert for alert in facts.status.alerts if is_of(own, alert.labels)]
        return self._site.page(
            request,
            "rule.html",
            facts=facts,
            rule=rule,
            alerts=sorted(alerts, key=_worst_first)[:_MOST_ALERTS],
            total_alerts=len(alerts),
            tried=tried,
            ranges=[(name, text) for name, (text, _) in RANGES.items()],
            asked=asked if asked in RANGES else RANGE,
            tasks=[TaskFacts(task, now) for task in tasks],
            total_tasks=total,
            days=days,
            all_days=DAYS,
            # A replay is of all signals.
            may_backtest=not own and facts.alerts,
            backtest=self._backtests.known(rule.key, days) if not own else None,
        )

    async def _ask(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        facts = await self._known(request)
        rule, days = facts.status.rule, _days(given.get("days", ""))
        if not isinstance(rule, AlertingRule):
            raise web.HTTPBadRequest(text=f"{rule.name} records; only alerts open tasks\n")
        to = f"{facts.address}?days={days}#backtest"
        try:
            self._backtests.ask(rule, days, self._site.clock())
        except BusyError as error:
            return self._site.lead(to, f"{error}.", problem=True)
        return self._site.lead(to)

    async def _try(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("expr", "").strip()[:_LONGEST]
        asked, now = request.query.get("range", RANGE), self._site.clock()
        tried = None
        if text:
            source = source_for(customer_of(request), self._store)
            tried = await self._threads.run(_tried, source, None, text, asked, now)
        return self._site.page(
            request,
            "try.html",
            text=text,
            tried=tried,
            ranges=[(name, said) for name, (said, _) in RANGES.items()],
            asked=asked if asked in RANGES else RANGE,
        )

    async def _known(self, request: web.Request) -> RuleFacts:
        key = request.match_info["key"]
        for _, rules in await self._facts(customer_of(request)):
            for each in rules:
                if each.key == key:
                    return each
        raise web.HTTPNotFound(text=f"there is no rule {key}\n")

    async def _facts(self, customer: str) -> list[tuple[GroupStatus, list[RuleFacts]]]:
        groups = self._groups()
        cases = await self._cases(groups)
        return [
            (
                group,
                [
                    RuleFacts(
                        status,
                        _states(status, customer),
                        _tests_of(cases, status),
                        error_for(customer, status),
                    )
                    for status in group.rules
                    if rule_is_for(customer, status)
                ],
            )
            for group in groups
        ]

    async def _cases(self, groups: Sequence[GroupStatus]) -> Mapping[tuple[str, str], int]:
        """The tests of the running rules, read anew when these are."""
        taken_at = self._last_reload().taken_at
        if self._tests is None or self._tests[0] != taken_at:
            files = {group.group.file for group in groups}
            self._tests = taken_at, await asyncio.to_thread(cases_by_alert, files)
        return self._tests[1]

    def _tasks(self, key: str, own: str) -> tuple[Sequence[Task], int]:
        page = self._queries.of(own).list(
            TaskFilter(rule=key), limit=_MOST_TASKS, order=TaskOrder.LAST_ONSET
        )
        return page.tasks, page.total


def _tried(source: SeriesSource, query: Query | None, text: str, asked: str, at: int) -> Tried:
    """Evaluate an expression over the range that is asked for, and at a time (ms), its end."""
    span = span_of(asked, at)
    try:
        query = query or compile_query(text)
        written = pretty(query.expr)
    except REFUSED as error:
        return Tried(text, problem=str(error))
    until = deadline()
    # What is compared with a constant is shown with it: between two steps it may have held.
    compared, operator, threshold = measured(query)
    limit = None if threshold is None else (threshold, f"{operator} {threshold:g}")
    try:
        now = query.instant(source, at, deadline=until)
        over = evaluated(compile_query(compared), source, span, until)
        plot = plot_of(over, text, span, name_of=told, threshold=limit)
        vector = sorted(now.vector(), key=lambda each: (-each[1], each[0]))
    except REFUSED as error:
        return Tried(text, written, problem=str(error))
    rows = [(told(labels), general_float(value)) for labels, value in vector[:_MOST_ROWS]]
    return Tried(
        text,
        written,
        drawn(plot, "tried") if plot is not None else Markup(),
        rows,
        len(vector) - len(rows),
        notes=[*over.warnings, *over.infos][:MOST_NOTES],
    )


def _states(status: RuleStatus, customer: str) -> Mapping[str, int]:
    if not customer:
        return {state.value: count for state, count in status.standing.states().items()}
    found: dict[str, int] = {}
    for alert in status.alerts:
        if is_of(customer, alert.labels):
            found[alert.state.value] = found.get(alert.state.value, 0) + 1
    return found


def _tests_of(cases: Mapping[tuple[str, str], int], status: RuleStatus) -> int:
    return cases.get((status.rule.file, status.rule.name), 0)


def _is_asked(facts: RuleFacts, group: GroupStatus, asked: Mapping[str, str]) -> bool:
    needle = asked["q"].lower()
    if needle and not any(needle in text.lower() for text in _texts(facts, group)):
        return False
    match asked["show"]:
        case "active":
            return any(facts.states.values())
        case "failing":
            return bool(facts.error)
        case "untested":
            return facts.alerts and not facts.cases
    return True


def _texts(facts: RuleFacts, group: GroupStatus) -> Iterator[str]:
    yield from (facts.status.rule.name, group.group.name, facts.status.rule.expr)


def _worst_first(alert: Alert) -> tuple[int, int]:
    order = (AlertState.FIRING, AlertState.UNKNOWN, AlertState.PENDING, AlertState.INACTIVE)
    return order.index(alert.state), alert.active_at


def _days(text: str) -> int:
    return int(text) if text.isdigit() and int(text) in DAYS else DAYS[1]
