"""`/api/events`: events by time, labels and text, in the envelope of the Prometheus HTTP API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from aiohttp import web

from forewarn_collector.api.answers import enveloped_pieces, json_bytes
from forewarn_collector.api.envelope import ApiError, enveloped
from forewarn_collector.api.formats import EARLIEST, LATEST, rfc3339
from forewarn_collector.api.narrowing import customer_of, is_of, matchers_for
from forewarn_collector.api.parameters import (
    Given,
    bad,
    limit_of,
    parameters,
    parsed,
    selectors_of,
    time_of,
)
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.promql import Deadline
from forewarn_collector.store import (
    EventPage,
    EventQuery,
    Matcher,
    MatchOp,
    Store,
    StoreError,
    TextQueryError,
)
from forewarn_wire import Event, Severity

_DEFAULT_LIMIT = 100
_MOST = 1_000
_SEARCH_SECONDS = 10.0
_LARGEST_CURSOR = 1 << 63
_KNOWN = frozenset(
    {"match[]", "type", "severity", "severity_min", "q", "start", "end", "limit", "cursor"}
)


class EventsApi:
    """Searches end after ten seconds, with what was found and where to go on."""

    def __init__(self, store: Store, threads: AnswerThreads) -> None:
        self._store = store
        self._threads = threads

    def routes(self) -> list[web.RouteDef]:
        """The routes. A uid may have slashes in it."""
        return [
            web.get("/api/events", enveloped(self._search)),
            web.get("/api/events/{uid:.+}", enveloped(self._one)),
        ]

    async def _search(self, request: web.Request) -> web.StreamResponse:
        query = _query(await parameters(request), matchers_for(customer_of(request)))

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            try:
                page = self._store.event_store.search(query, _SEARCH_SECONDS)
            except TextQueryError as error:
                raise bad("q", error) from error
            except ValueError as error:
                raise bad("match[]", error) from error
            except StoreError as error:
                raise ApiError("unavailable", str(error)) from error
            found = {
                "events": [_shown(event) for event in page.events],
                "next": None if page.next is None else str(page.next),
            }
            return enveloped_pieces([json_bytes(found)], _warnings(page))

        return await self._threads.answer(request, pieces)

    async def _one(self, request: web.Request) -> web.StreamResponse:
        uid, customer = request.match_info["uid"], customer_of(request)

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            try:
                event = self._store.event_store.one(uid)
            except StoreError as error:
                raise ApiError("unavailable", str(error)) from error
            if event is None or not is_of(customer, event.labels):
                raise ApiError(
                    "not_found", f"there is no event {uid!r}, or it is older than what is kept"
                )
            return enveloped_pieces([json_bytes(_shown(event))])

        return await self._threads.answer(request, pieces)


def _query(given: Given, within: Sequence[Matcher]) -> EventQuery:
    for name in given:
        if name not in _KNOWN:
            known = ", ".join(sorted(_KNOWN))
            raise ApiError("bad_data", f'unknown parameter "{name}"; there are {known}')
    limit = limit_of(given) or _DEFAULT_LIMIT
    if limit > _MOST:
        raise bad("limit", f"{_MOST} is the most; go on with cursor")
    common = [
        *_either("type", [kind for kind in given.getall("type", []) if kind]),
        *_severe(given),
        *within,
    ]
    selectors: Sequence[Sequence[Matcher]] = selectors_of(given) or [()]
    selectors = [(*matchers, *common) for matchers in selectors]
    return EventQuery(
        start=time_of(given, "start", EARLIEST),
        end=time_of(given, "end", LATEST),
        limit=limit,
        selectors=selectors,
        text=given.get("q", ""),
        before=parsed(given, "cursor", _cursor) if given.get("cursor") else None,
    )


def _severe(given: Given) -> list[Matcher]:
    wanted = [_severity("severity", text) for text in given.getall("severity", []) if text]
    least = given.get("severity_min")
    if least:
        bound = _severity("severity_min", least).number
        at_least = {severity for severity in Severity if severity.number >= bound}
        wanted = [severity for severity in wanted or Severity if severity in at_least]
        if not wanted:
            raise bad("severity_min", "it leaves none of what severity asks for; give one of them")
    return _either("severity", [severity.value for severity in wanted])


def _severity(name: str, text: str) -> Severity:
    try:
        return Severity(text.lower())
    except ValueError:
        known = ", ".join(severity.value for severity in Severity)
        raise bad(name, f"{text!r} is none of {known}") from None


def _either(name: str, values: Sequence[str]) -> list[Matcher]:
    if not values:
        return []
    if len(values) == 1:
        return [Matcher(name, MatchOp.EQUAL, values[0])]
    return [Matcher(name, MatchOp.REGEX, "|".join(map(re.escape, values)))]


def _cursor(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise ValueError(f"{text!r:.50} is no cursor; give the `next` of the page before")
    number = int(text)
    if not -_LARGEST_CURSOR < number < _LARGEST_CURSOR:
        raise ValueError(f"{text!r} is no cursor; give the `next` of the page before")
    return number


def _warnings(page: EventPage) -> list[str]:
    warnings = []
    if not page.complete:
        warnings.append("the search ended early, for its time or size; go on with cursor")
    if page.indexed_from is not None:
        since = rfc3339(page.indexed_from)
        warnings.append(f"events before {since} are not in the text index yet; ask again later")
    return warnings


def _shown(event: Event) -> dict[str, Any]:
    return {
        "time": event.time,
        "type": event.type,
        "severity": event.severity.value,
        "labels": dict(event.labels),
        "body": event.body,
        "uid": event.uid,
        "attributes": dict(event.attributes),
    }
