"""`/api/v1/rules` and `/api/v1/alerts`, as Prometheus answers them, with our state `unknown`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from aiohttp import web

from forewarn_collector.api.answers import enveloped_pieces, json_bytes, list_pieces
from forewarn_collector.api.envelope import enveloped
from forewarn_collector.api.formats import exponent_float, rfc3339
from forewarn_collector.api.narrowing import customer_of, error_for, is_of, rule_is_for
from forewarn_collector.api.parameters import Given, bad, selectors_of, whole
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.promql import Deadline
from forewarn_collector.rules import (
    Alert,
    AlertingRule,
    AlertState,
    GroupStatus,
    RuleStatus,
    Scheduler,
)
from forewarn_collector.store.matching import labels_predicate
from forewarn_wire import Labels

_WORST_FIRST = (
    AlertState.FIRING,
    AlertState.UNKNOWN,
    AlertState.PENDING,
    AlertState.INACTIVE,
)
_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"", "0", "f", "false"})


class RulesApi:
    """What the scheduler knows, read only."""

    def __init__(self, scheduler: Scheduler, threads: AnswerThreads) -> None:
        self._scheduler = scheduler
        self._threads = threads

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/v1/rules", enveloped(self._rules)),
            web.get("/api/v1/alerts", enveloped(self._alerts)),
        ]

    async def _rules(self, request: web.Request) -> web.StreamResponse:
        customer = customer_of(request)
        wanted = _wanted(request.query, customer)
        page = _page(request.query)
        # Before anything is sent: a token that is wrong must still be an error.
        groups, token = page.cut(wanted.found(self._scheduler.groups()))

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            bodies = [
                _group_json(group, rules, customer, with_alerts=wanted.alerts)
                for group, rules in groups
            ]
            end = b',"groupNextToken":' + json_bytes(token) if token else b""
            return enveloped_pieces(chain([b'{"groups":'], list_pieces(bodies), [end, b"}"]))

        return await self._threads.answer(request, pieces)

    async def _alerts(self, request: web.Request) -> web.StreamResponse:
        customer = customer_of(request)

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            alerts = [
                _alert_json(alert)
                for group in self._scheduler.groups()
                for rule in group.rules
                for alert in rule.alerts
                if is_of(customer, alert.labels)
            ]
            return enveloped_pieces(chain([b'{"alerts":'], list_pieces(alerts), [b"}"]))

        return await self._threads.answer(request, pieces)


Found = tuple[GroupStatus, Sequence[RuleStatus]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The filters of a request; an empty one lets everything through."""

    type: str
    files: frozenset[str]
    groups: frozenset[str]
    names: frozenset[str]
    labels: Sequence[Callable[[Labels], bool]]
    alerts: bool
    customer: str

    def found(self, groups: Sequence[GroupStatus]) -> list[tuple[GroupStatus, list[RuleStatus]]]:
        """All groups, each with the rules that are wanted of it."""
        return [
            (group, [rule for rule in group.rules if self._group(group) and self._rule(rule)])
            for group in groups
        ]

    def _group(self, status: GroupStatus) -> bool:
        return (not self.files or status.group.file in self.files) and (
            not self.groups or status.group.name in self.groups
        )

    def _rule(self, status: RuleStatus) -> bool:
        return (
            (not self.type or _type(status) == self.type)
            and (not self.names or status.rule.name in self.names)
            and (not self.labels or self._labelled(status))
            and rule_is_for(self.customer, status)
        )

    def _labelled(self, status: RuleStatus) -> bool:
        labels = tuple(_labels_of(status).items())
        return any(meets(labels) for meets in self.labels)


def _wanted(query: Given, customer: str) -> _Wanted:
    kinds = {"": "", "alert": "alerting", "record": "recording"}
    kind = query.get("type", "").lower()
    if kind not in kinds:
        raise bad("type", f'not supported value "{kind}"')
    without = query.get("exclude_alerts", "").lower()
    if without not in _TRUE | _FALSE:
        raise bad("exclude_alerts", f'error converting exclude_alerts: "{without}" is no boolean')
    return _Wanted(
        kinds[kind],
        frozenset(query.getall("file[]", [])),
        frozenset(query.getall("rule_group[]", [])),
        frozenset(query.getall("rule_name[]", [])),
        [labels_predicate(matchers) for matchers in selectors_of(query)],
        without in _FALSE,
        customer,
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """Which groups of all: `limit` of them (0: all) from the one that has the token."""

    limit: int
    token: str

    def cut(self, found: Sequence[Found]) -> tuple[list[Found], str]:
        """The groups of this page that have rules left, and the token of the next page."""
        if self.token:
            tokens = [_token(group) for group, _ in found]
            if self.token not in tokens:
                text = f"invalid group_next_token '{self.token}'. were rule groups changed?"
                raise bad("group_next_token", text)
            found = found[tokens.index(self.token) :]
        kept = [item for item in found if item[1]]
        if not self.limit or len(kept) <= self.limit:
            return kept, ""
        return kept[: self.limit], _token(kept[self.limit][0])


def _page(query: Given) -> _Page:
    limit, token = query.get("group_limit", ""), query.get("group_next_token", "")
    if token and not limit:
        text = "group_limit needs to be present in order to paginate over the groups"
        raise bad("group_next_token", text)
    if not limit:
        return _Page(0, "")
    try:
        most = whole(limit)
    except ValueError as error:
        raise bad("group_limit", f"group_limit needs to be a valid number: {error}") from error
    if most <= 0:
        raise bad("group_limit", "group_limit needs to be greater than 0")
    return _Page(most, token)


def _token(status: GroupStatus) -> str:
    return hashlib.sha1(status.group.key.encode(), usedforsecurity=False).hexdigest()


def _type(status: RuleStatus) -> str:
    return "alerting" if isinstance(status.rule, AlertingRule) else "recording"


def _labels_of(status: RuleStatus) -> dict[str, str]:
    """The labels that the rule adds, templates as they were written."""
    rule = status.rule
    if isinstance(rule, AlertingRule):
        return {name: text.source for name, text in rule.labels.items()}
    return dict(rule.labels)


def _group_json(
    status: GroupStatus, rules: Sequence[RuleStatus], customer: str, *, with_alerts: bool
) -> dict[str, Any]:
    return {
        "name": status.group.name,
        "file": status.group.file,
        "rules": [_rule_json(rule, customer, with_alerts=with_alerts) for rule in rules],
        "interval": status.group.interval / 1000,
        "limit": status.group.limit,
        "evaluationTime": status.evaluation_seconds,
        "lastEvaluation": rfc3339(status.last_evaluation),
    }


def _rule_json(status: RuleStatus, customer: str, *, with_alerts: bool) -> dict[str, Any]:
    rule = status.rule
    body: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "health": status.health,
        "evaluationTime": status.evaluation_seconds,
        "lastEvaluation": rfc3339(status.last_evaluation),
        "type": _type(status),
        "labels": _labels_of(status),
    }
    if status.last_error:
        body["lastError"] = error_for(customer, status)
    if not isinstance(rule, AlertingRule):
        return body
    alerts: list[Alert] = []
    if with_alerts or customer:
        alerts = [alert for alert in status.alerts if is_of(customer, alert.labels)]
    states = {alert.state for alert in alerts} if customer else status.standing.states()
    worst = next((state for state in _WORST_FIRST if state in states), AlertState.INACTIVE)
    return body | {
        "state": worst.value,
        "duration": rule.for_ / 1000,
        "keepFiringFor": rule.keep_firing_for / 1000,
        "annotations": {name: text.source for name, text in rule.annotations.items()},
        "alerts": [_alert_json(alert) for alert in alerts] if with_alerts else [],
    }


def _alert_json(alert: Alert) -> dict[str, Any]:
    body = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state.value,
        "activeAt": rfc3339(alert.active_at),
        "value": exponent_float(alert.value),
    }
    if alert.keep_firing_since is not None:
        body["keepFiringSince"] = rfc3339(alert.keep_firing_since)
    return body
