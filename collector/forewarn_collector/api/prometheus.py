"""The Prometheus HTTP API for queries and labels: what Grafana's Prometheus data source calls.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, TypeVar

from aiohttp import web
from multidict import MultiMapping

from forewarn_collector.api.envelope import ApiError, enveloped, parameters, success
from forewarn_collector.api.formats import parse_step, parse_time, seconds
from forewarn_collector.promql import (
    EvalError,
    PromQLError,
    Query,
    Result,
    Selector,
    ValueType,
    compile_query,
    plain_float,
)
from forewarn_collector.store import Matcher, Store
from forewarn_wire.clock import Clock

T = TypeVar("T")

MAX_POINTS = 11_000
_KEPT_QUERIES = 512
_FAR = 9_007_199_254_740_991


class PrometheusApi:
    """Queries run in threads of their own, so that none of them holds up ingestion."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="query")
        self._queries: dict[str, Query] = {}

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        both = {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._query_range,
            "/api/v1/series": self._series,
            "/api/v1/labels": self._labels,
        }
        routes = [web.get("/api/v1/label/{name}/values", enveloped(self._label_values))]
        for path, handler in both.items():
            routes += [web.get(path, enveloped(handler)), web.post(path, enveloped(handler))]
        routes += [
            web.get("/api/v1/status/buildinfo", enveloped(self._buildinfo)),
            web.get("/api/v1/metadata", enveloped(self._metadata)),
        ]
        return routes

    def close(self) -> None:
        """Take no further query."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _query(self, request: web.Request) -> web.Response:
        given = await parameters(request)
        time = _time(given, "time", self._clock())
        query = self._compiled(given)
        result = await self._run(lambda: query.instant(self._store, time))
        return success(_data(result, instant=True), result.warnings)

    async def _query_range(self, request: web.Request) -> web.Response:
        given = await parameters(request)
        start, end = _time(given, "start"), _time(given, "end")
        step = _parsed(given, "step", parse_step)
        if end < start:
            raise _bad("end", "end timestamp must not be before start time")
        if step <= 0:
            text = "zero or negative query resolution step widths are not accepted."
            raise _bad("step", f"{text} Try a positive integer")
        if (end - start) // step > MAX_POINTS:
            raise ApiError(
                "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)",
            )
        query = self._compiled(given)
        result = await self._run(lambda: query.range(self._store, start, end, step))
        return success(_data(result, instant=False), result.warnings)

    async def _series(self, request: web.Request) -> web.Response:
        given = await parameters(request)
        selectors = self._selectors(given)
        if not selectors:
            raise ApiError("bad_data", "no match[] parameter provided")
        start, end = _time(given, "start", -_FAR), _time(given, "end", _FAR)
        found = await self._run(lambda: self._store.series(selectors, start, end))
        return success([dict(labels) for labels in _limited(found, given)])

    async def _labels(self, request: web.Request) -> web.Response:
        given = await parameters(request)
        selectors = self._selectors(given)
        start, end = _time(given, "start", -_FAR), _time(given, "end", _FAR)
        found = await self._run(lambda: self._store.label_names(selectors, start, end))
        return success(list(_limited(found, given)))

    async def _label_values(self, request: web.Request) -> web.Response:
        given = await parameters(request)
        name = _unescaped(request.match_info["name"])
        selectors = self._selectors(given)
        start, end = _time(given, "start", -_FAR), _time(given, "end", _FAR)
        found = await self._run(lambda: self._store.label_values(name, selectors, start, end))
        return success(list(_limited(found, given)))

    async def _metadata(self, request: web.Request) -> web.Response:
        return success({})

    async def _buildinfo(self, request: web.Request) -> web.Response:
        return success(
            {
                # Grafana reads from the version which calls it may make: we answer as 3.x does.
                "version": "3.0.0",
                "revision": f"forewarn-{version('forewarn')}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": f"python{platform.python_version()}",
            }
        )

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except EvalError as error:
            raise ApiError("execution", str(error)) from error
        except MemoryError as error:
            raise ApiError("execution", "the query needs more memory than there is") from error

    def _compiled(self, given: MultiMapping[str]) -> Query:
        """The query, kept: a dashboard asks the same again and again."""
        text = given.get("query", "")
        query = self._queries.get(text)
        if query is None:
            try:
                query = compile_query(text)
            except PromQLError as error:
                raise _bad("query", str(error)) from error
            if len(self._queries) >= _KEPT_QUERIES:
                self._queries.pop(next(iter(self._queries)))
            self._queries[text] = query
        return query

    def _selectors(self, given: MultiMapping[str]) -> list[Sequence[Matcher]]:
        found: list[Sequence[Matcher]] = []
        for text in given.getall("match[]", []):
            try:
                expr = compile_query(text).expr
            except PromQLError as error:
                raise _bad("match[]", str(error)) from error
            if not isinstance(expr, Selector):
                raise _bad("match[]", f"{text} is no series selector")
            found.append(expr.matchers)
        return found


def _data(result: Result, *, instant: bool) -> dict[str, Any]:
    times = [seconds(int(time)) for time in result.times]
    match result.kind:
        case ValueType.STRING:
            value: Any = [times[0], result.text]
        case ValueType.SCALAR if instant:
            value = [times[0], plain_float(float(result.values[0, 0]))]
        case ValueType.VECTOR if instant:
            value = [
                {"metric": dict(labels), "value": [times[0], plain_float(number)]}
                for labels, number in result.vector()
            ]
        case _:
            value = _matrix(result, times)
    return {"resultType": result.kind.value, "result": value}


def _matrix(result: Result, times: list[float]) -> list[dict[str, Any]]:
    found = []
    for row in result.rows().tolist():
        points = [
            [time, plain_float(value)]
            for time, value, present in zip(
                times, result.values[row].tolist(), result.present[row].tolist(), strict=True
            )
            if present
        ]
        found.append({"metric": dict(result.labels[row]), "values": points})
    return found


def _bad(name: str, message: str) -> ApiError:
    return ApiError("bad_data", f'invalid parameter "{name}": {message}')


def _parsed(given: MultiMapping[str], name: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(given.get(name, ""))
    except ValueError as error:
        raise _bad(name, str(error)) from error


def _time(given: MultiMapping[str], name: str, default: int | None = None) -> int:
    if default is not None and not given.get(name):
        return default
    return _parsed(given, name, parse_time)


def _limited(found: Sequence[T], given: MultiMapping[str]) -> Sequence[T]:
    limit = _parsed(given, "limit", _whole) if given.get("limit") else 0
    return found[:limit] if limit else found


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f'cannot parse "{text}" to a valid limit')
    return int(text)


def _unescaped(name: str) -> str:
    """A label's name from `U__` notation: `_xHHHH_` hex, `__` an underscore.

    Source: prometheus/common `model/metric.go`, UnescapeName with ValueEncodingEscaping.
    """
    if not name.startswith("U__"):
        return name
    out, rest = [], name[3:]
    while rest:
        if rest.startswith("__"):
            out.append("_")
            rest = rest[2:]
        elif rest[0] == "_" and "_" in rest[1:]:
            code, _, rest = rest[1:].partition("_")
            try:
                out.append(chr(int(code, 16)))
            except (ValueError, OverflowError):
                return name
        else:
            out.append(rest[0])
            rest = rest[1:]
    return "".join(out)
