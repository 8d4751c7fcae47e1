"""`/api/v1/rules` and `/api/v1/alerts`, as Prometheus answers them, with our state `unknown`."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from multidict import MultiMapping

from forewarn_collector.api.envelope import enveloped, success
from forewarn_collector.api.formats import rfc3339
from forewarn_collector.promql import plain_float
from forewarn_collector.rules import (
    Alert,
    AlertingRule,
    AlertState,
    GroupStatus,
    RuleStatus,
    Scheduler,
)

_WORST_FIRST = (
    AlertState.FIRING,
    AlertState.UNKNOWN,
    AlertState.PENDING,
    AlertState.INACTIVE,
)


class RulesApi:
    """What the scheduler knows, read only."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/v1/rules", enveloped(self._rules)),
            web.get("/api/v1/alerts", enveloped(self._alerts)),
        ]

    async def _rules(self, request: web.Request) -> web.Response:
        wanted = _Wanted(request.query)
        groups = []
        for group in self._scheduler.groups():
            if not wanted.group(group):
                continue
            rules = [_rule_json(rule) for rule in group.rules if wanted.rule(rule)]
            if rules or not wanted.some_rules:
                groups.append(_group_json(group, rules))
        return success({"groups": groups})

    async def _alerts(self, request: web.Request) -> web.Response:
        alerts = [
            _alert_json(alert)
            for group in self._scheduler.groups()
            for rule in group.rules
            for alert in rule.alerts
        ]
        return success({"alerts": alerts})


class _Wanted:
    """The filters of a request: type, file[], rule_group[], rule_name[]."""

    def __init__(self, query: MultiMapping[str]) -> None:
        self._type = {"alert": "alerting", "record": "recording"}.get(query.get("type", ""), "")
        self._files = set(query.getall("file[]", []))
        self._groups = set(query.getall("rule_group[]", []))
        self._names = set(query.getall("rule_name[]", []))

    @property
    def some_rules(self) -> bool:
        """Whether only some rules of a group are wanted, so that an empty group is left out."""
        return bool(self._type or self._names)

    def group(self, group: GroupStatus) -> bool:
        return (not self._files or group.group.file in self._files) and (
            not self._groups or group.group.name in self._groups
        )

    def rule(self, status: RuleStatus) -> bool:
        return (not self._type or _type(status) == self._type) and (
            not self._names or status.rule.name in self._names
        )


def _type(status: RuleStatus) -> str:
    return "alerting" if isinstance(status.rule, AlertingRule) else "recording"


def _group_json(status: GroupStatus, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": status.group.name,
        "file": status.group.file,
        "rules": rules,
        "interval": status.group.interval / 1000,
        "limit": status.group.limit,
        "evaluationTime": status.evaluation_seconds,
        "lastEvaluation": rfc3339(status.last_evaluation),
    }


def _rule_json(status: RuleStatus) -> dict[str, Any]:
    rule = status.rule
    body: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "health": status.health,
        "evaluationTime": status.evaluation_seconds,
        "lastEvaluation": rfc3339(status.last_evaluation),
        "type": _type(status),
    }
    if status.last_error:
        body["lastError"] = status.last_error
    if not isinstance(rule, AlertingRule):
        return body | {"labels": dict(rule.labels)}
    states = {alert.state for alert in status.alerts}
    worst = next((state for state in _WORST_FIRST if state in states), AlertState.INACTIVE)
    return body | {
        "state": worst.value,
        "duration": rule.for_ / 1000,
        "keepFiringFor": rule.keep_firing_for / 1000,
        "labels": {name: text.source for name, text in rule.labels.items()},
        "annotations": {name: text.source for name, text in rule.annotations.items()},
        "alerts": [_alert_json(alert) for alert in status.alerts],
    }


def _alert_json(alert: Alert) -> dict[str, Any]:
    body = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state.value,
        "activeAt": rfc3339(alert.active_at),
        "value": plain_float(alert.value),
    }
    if alert.keep_firing_since is not None:
        body["keepFiringSince"] = rfc3339(alert.keep_firing_since)
    return body
