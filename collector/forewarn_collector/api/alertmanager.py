"""`/api/v2/*`: Alertmanager's API, so that what knows an Alertmanager can work with us.

Source: prometheus/alertmanager `api/v2/api.go` and `openapi.yaml`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from aiohttp import web

from forewarn_collector.api.alertmanager_forms import (
    FormError,
    alert_json,
    group_json,
    read_alerts,
    read_json,
    read_silence,
    silence_json,
)
from forewarn_collector.api.callers import CALLER
from forewarn_collector.api.envelope import Handler, json_response
from forewarn_collector.api.formats import rfc3339
from forewarn_collector.api.narrowing import (
    actor_of,
    customer_of,
    is_of,
    silence_for,
    silence_is_of,
)
from forewarn_collector.metrics import Metrics
from forewarn_collector.silencing import (
    Matcher,
    MatcherError,
    MatchKind,
    NoSuchSilenceError,
    Silence,
    SilenceError,
    make_matcher,
    parse_matcher,
    sorted_silences,
)
from forewarn_collector.tasks import LedgerError, TaskKeeper
from forewarn_collector.tasks.alertmanager import AlertmanagerPlace
from forewarn_collector.tasks.board import BoardAlert, groups_of
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_TRUE = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
_HIDDEN = "# shown to those who may see all customers\n"
_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)


class AlertmanagerApi:
    """The API; work on the ledger is done on other threads."""

    def __init__(
        self, place: AlertmanagerPlace, keeper: TaskKeeper, metrics: Metrics, clock: Clock
    ) -> None:
        self._place = place
        self._keeper = keeper
        self._metrics = metrics
        self._clock = clock
        self._started = clock()

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/v2/status", self._status),
            web.get("/api/v2/receivers", self._receivers),
            web.get("/api/v2/alerts", _answering(self._alerts)),
            web.post("/api/v2/alerts", _answering(self._post_alerts)),
            web.get("/api/v2/alerts/groups", _answering(self._groups)),
            web.get("/api/v2/silences", _answering(self._silences)),
            web.post("/api/v2/silences", _answering(self._post_silence)),
            web.get("/api/v2/silence/{id}", _answering(self._silence)),
            web.delete("/api/v2/silence/{id}", _answering(self._expire)),
            web.route("*", "/api/v2/{path:.*}", _answering(_unknown)),
        ]

    async def _status(self, request: web.Request) -> web.Response:
        ours = version("forewarn")
        return _answer(
            {
                "cluster": {"name": "", "peers": [], "status": "disabled"},
                "config": {"original": _HIDDEN if customer_of(request) else self._place.shown},
                "uptime": rfc3339(self._started),
                "versionInfo": {
                    "branch": "forewarn",
                    "buildDate": "",
                    "buildUser": "",
                    "goVersion": "",
                    "revision": ours,
                    "version": ours,
                },
            }
        )

    async def _receivers(self, request: web.Request) -> web.Response:
        return _answer([{"name": name} for name in await self._receivers_for(request)])

    async def _receivers_for(self, request: web.Request) -> Sequence[str]:
        """All of them; of a customer those that its alerts go to now."""
        customer = customer_of(request)
        if not customer:
            return self._place.receivers
        alerts = await asyncio.to_thread(self._board, customer, self._clock())
        names = {route.receiver for alert in alerts for route in alert.routes}
        return [name for name in self._place.receivers if name in names]

    async def _alerts(self, request: web.Request) -> web.Response:
        admits, admits_receiver, now = _admits(request), _receiver_filter(request), self._clock()
        customer = customer_of(request)

        def found() -> list[dict[str, Any]]:
            return [
                alert_json(alert)
                for alert in self._board(customer, now)
                if any(admits_receiver(route.receiver) for route in alert.routes) and admits(alert)
            ]

        return _answer(await asyncio.to_thread(found))

    async def _groups(self, request: web.Request) -> web.Response:
        admits, admits_receiver, now = _admits(request), _receiver_filter(request), self._clock()
        customer = customer_of(request)

        def found() -> list[dict[str, Any]]:
            alerts = [alert for alert in self._board(customer, now) if admits(alert)]
            groups = groups_of(alerts)
            return [group_json(each) for each in groups if admits_receiver(each.route.receiver)]

        return _answer(await asyncio.to_thread(found))

    def _board(self, customer: str, now: int) -> list[BoardAlert]:
        """All alerts that fire, or those of a customer. Raises LedgerError."""
        alerts = self._place.board.alerts(now)
        return [each for each in alerts if is_of(customer, each.alert.labels)]

    async def _post_alerts(self, request: web.Request) -> web.Response:
        given = read_json(await _body(request), "alerts")
        now, customer = self._clock(), customer_of(request)
        alerts, wrong = read_alerts(given, now, self._place.resolve_timeout, customer)
        over = sum(alert.is_over(now) for alert in alerts)
        self._metrics.received_alerts.labels("firing").inc(len(alerts) - over)
        self._metrics.received_alerts.labels("resolved").inc(over)
        self._metrics.received_alerts.labels("invalid").inc(len(wrong))
        if alerts:
            await asyncio.to_thread(self._place.received.post, alerts, self._keeper, now)
        if wrong:
            log.warning(
                "%s sent %d alerts that can't be taken: %s",
                request[CALLER].name,
                len(wrong),
                wrong[0],
            )
            raise FormError("; ".join(wrong))
        return _empty()

    async def _silences(self, request: web.Request) -> web.Response:
        wanted, customer = _filter(request), customer_of(request)
        now = self._clock()
        found = [
            silence
            for silence in self._place.silences.all()
            if silence_is_of(customer, silence)
            and all(matcher in silence.matchers for matcher in wanted)
        ]
        return _answer([silence_json(each, now) for each in sorted_silences(found, now)])

    async def _post_silence(self, request: web.Request) -> web.Response:
        given = read_json(await _body(request), "silence")
        now = self._clock()
        customer = customer_of(request)
        silence = silence_for(customer, read_silence(given, now))
        actor = actor_of(request)
        try:
            if silence.id:
                self._one(silence.id, customer)
            if not silence_is_of(customer, silence):
                raise FormError(f"a silence of this token is for customer={customer} and no other")
            written = await asyncio.to_thread(self._place.silences.set, silence, actor, now)
        except NoSuchSilenceError as error:
            return _answer(str(error), 404)
        except SilenceError as error:
            raise FormError(str(error)) from error
        return _answer({"silenceID": written.id})

    async def _silence(self, request: web.Request) -> web.Response:
        try:
            found = self._one(_silence_id(request), customer_of(request))
        except NoSuchSilenceError:
            return _empty(404)
        return _answer(silence_json(found, self._clock()))

    async def _expire(self, request: web.Request) -> web.Response:
        silence_id, actor = _silence_id(request), actor_of(request)
        try:
            self._one(silence_id, customer_of(request))
            await asyncio.to_thread(self._place.silences.expire, silence_id, actor, self._clock())
        except NoSuchSilenceError:
            return _empty(404)
        return _empty()

    def _one(self, silence_id: str, customer: str) -> Silence:
        """A silence that the customer may see. Raises NoSuchSilenceError."""
        found = self._place.silences.one(silence_id)
        if not silence_is_of(customer, found):
            raise NoSuchSilenceError
        return found


def _answering(handler: Handler) -> Handler:
    """The handler with its errors turned into answers."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except FormError as error:
            return _answer(error.body(), error.status)
        except LedgerError as error:
            # A sender of alerts tries again, as it does with an Alertmanager in trouble.
            return _answer(str(error), 500)

    return answer


async def _unknown(request: web.Request) -> web.Response:
    raise FormError(f"path {request.path} was not found", 404, 404)


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        said = (
            f'unsupported media type "{request.content_type}", only [application/json] are allowed'
        )
        raise FormError(said, 415, 415)
    return await request.read()


def _silence_id(request: web.Request) -> str:
    given = request.match_info["id"]
    if _UUID.fullmatch(given) is None:
        said = f'silenceID in path must be of type uuid: "{given}"'
        raise FormError(said, 422, 601)
    return given


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "true").lower() in _TRUE


def _filter(request: web.Request) -> tuple[Matcher, ...]:
    try:
        return tuple(parse_matcher(text) for text in request.query.getall("filter", []))
    except MatcherError as error:
        raise FormError(str(error)) from error


def _admits(request: web.Request) -> Callable[[BoardAlert], bool]:
    """Which alerts the request asks for."""
    matchers = _filter(request)
    active, silenced, inhibited = (
        _flag(request, name) for name in ("active", "silenced", "inhibited")
    )

    def admits(alert: BoardAlert) -> bool:
        if not active and not alert.is_suppressed:
            return False
        if (alert.silenced_by and not silenced) or (alert.inhibited_by and not inhibited):
            return False
        return _matches(matchers, dict(alert.alert.labels))

    return admits


def _matches(matchers: Sequence[Matcher], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        present = matcher.name in labels
        # Without a value a filter asks whether there is such a label at all.
        if not matcher.value and present == (not matcher.kind.is_equal):
            continue
        if not matcher.matches(labels.get(matcher.name, "")):
            return False
    return True


def _receiver_filter(request: web.Request) -> Callable[[str], bool]:
    given = request.query.get("receiver")
    if given is None:
        return lambda _: True
    try:
        return make_matcher("receiver", MatchKind.REGEXP, given).matches
    except MatcherError as error:
        raise FormError(f"failed to parse receiver param: {error}") from error


def _answer(body: Any, status: int = 200) -> web.Response:
    response = json_response(body, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _empty(status: int = 200) -> web.Response:
    return web.Response(status=status, headers={"Cache-Control": "no-store"})
