"""The Prometheus HTTP API for queries: what Grafana's Prometheus data source and promtool call.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from forewarn_collector.api.answers import enveloped_pieces, result_pieces
from forewarn_collector.api.envelope import ApiError, enveloped, success
from forewarn_collector.api.formats import EARLIEST, LATEST, parse_step
from forewarn_collector.api.narrowing import customer_of, source_for
from forewarn_collector.api.parameters import (
    TRUNCATED,
    Given,
    bad,
    limit_of,
    parameters,
    parsed,
    time_of,
)
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.promql import (
    LOOKBACK,
    Deadline,
    PromQLError,
    Query,
    Result,
    ValueType,
    compile_query,
)
from forewarn_collector.promql.pretty import pretty
from forewarn_collector.promql.tree import tree_json
from forewarn_collector.store import Store
from forewarn_wire.clock import Clock

MAX_POINTS = 11_000
_KEPT_QUERIES = 512
_MOST_ANNOTATIONS = 10
_LONG_TEXT = 2_000
"""Characters from which on an expression is compiled in a thread; shorter ones take about 1 ms."""

Evaluate = Callable[[Deadline], Result]


class PrometheusApi:
    """Queries run in threads of their own, so that none of them holds up ingestion."""

    def __init__(self, store: Store, threads: AnswerThreads, timeout: int, clock: Clock) -> None:
        """`timeout` is the most that a query may take, in ms."""
        self._store = store
        self._threads = threads
        self._timeout = timeout
        self._clock = clock
        self._queries: dict[tuple[str, str], Query] = {}

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        handlers = {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._query_range,
            "/api/v1/query_exemplars": self._query_exemplars,
            "/api/v1/format_query": self._format_query,
            "/api/v1/parse_query": self._parse_query,
        }
        return [
            method(path, enveloped(handler))
            for path, handler in handlers.items()
            for method in (web.get, web.post)
        ]

    async def _query(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        limit = limit_of(given)
        at = time_of(given, "time", self._clock())
        timeout, lookback = self._timeout_of(given), _lookback_of(given)
        customer = customer_of(request)
        query, source = await self._compiled(given, customer), source_for(customer, self._store)

        def evaluate(deadline: Deadline) -> Result:
            return query.instant(source, at, lookback=lookback, deadline=deadline)

        pieces = partial(_pieces, evaluate, limit, bool(given.get("stats")), True)
        return await self._threads.answer(request, pieces, timeout)

    async def _query_range(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        limit = limit_of(given)
        start, end = time_of(given, "start"), time_of(given, "end")
        if end < start:
            raise bad("end", "end timestamp must not be before start time")
        step = parsed(given, "step", parse_step)
        if step <= 0:
            text = "zero or negative query resolution step widths are not accepted."
            raise bad("step", f"{text} Try a positive integer")
        if (end - start) // step > MAX_POINTS:
            raise ApiError(
                "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)",
            )
        timeout, lookback = self._timeout_of(given), _lookback_of(given)
        customer = customer_of(request)
        query, source = await self._compiled(given, customer), source_for(customer, self._store)
        if query.result_type in (ValueType.MATRIX, ValueType.STRING):
            name = "range vector" if query.result_type is ValueType.MATRIX else "string"
            text = f'invalid expression type "{name}" for range query'
            raise bad("query", f"{text}, must be Scalar or instant Vector")

        def evaluate(deadline: Deadline) -> Result:
            return query.range(source, start, end, step, lookback=lookback, deadline=deadline)

        pieces = partial(_pieces, evaluate, limit, bool(given.get("stats")), False)
        return await self._threads.answer(request, pieces, timeout)

    async def _query_exemplars(self, request: web.Request) -> web.StreamResponse:
        """No exemplars are kept: an empty list for whatever is asked rightly."""
        given = await parameters(request)
        start, end = time_of(given, "start", EARLIEST), time_of(given, "end", LATEST)
        if end < start:
            raise ApiError("bad_data", "end timestamp must not be before start timestamp")
        try:
            compile_query(given.get("query", ""))
        except PromQLError as error:
            raise ApiError("bad_data", str(error)) from error
        return success([])

    async def _format_query(self, request: web.Request) -> web.StreamResponse:
        return success(pretty((await self._compiled(await parameters(request))).expr))

    async def _parse_query(self, request: web.Request) -> web.StreamResponse:
        return success(tree_json((await self._compiled(await parameters(request))).expr))

    async def _compiled(self, given: Given, customer: str = "") -> Query:
        """The query, kept: a dashboard asks the same again and again.

        Each customer has its own, since a query keeps what it derived from the series it found.
        """
        text = given.get("query", "")
        query = self._queries.get((customer, text))
        if query is None:
            try:
                if len(text) > _LONG_TEXT:
                    query = await asyncio.to_thread(compile_query, text)
                else:
                    query = compile_query(text)
            except PromQLError as error:
                raise bad("query", error) from error
            if len(self._queries) >= _KEPT_QUERIES:
                self._queries.pop(next(iter(self._queries)))
            self._queries[customer, text] = query
        return query

    def _timeout_of(self, given: Given) -> int:
        """In ms; what is asked for can only shorten the one that is configured."""
        if not given.get("timeout"):
            return self._timeout
        return min(parsed(given, "timeout", parse_step), self._timeout)


def _lookback_of(given: Given) -> int:
    text = given.get("lookback_delta", "")
    if not text:
        return LOOKBACK
    try:
        lookback = parse_step(text)
    except ValueError as error:
        raise ApiError("bad_data", f"error parsing lookback delta duration: {error}") from error
    return lookback if lookback > 0 else LOOKBACK


def _pieces(
    evaluate: Evaluate, limit: int, with_stats: bool, instant: bool, deadline: Deadline
) -> Iterator[bytes]:
    began = time.perf_counter()
    result = evaluate(deadline)
    rows = result.rows()
    stats = _stats(time.perf_counter() - began) if with_stats else None
    warnings = _shown(result.warnings, "warning")
    if limit and len(rows) > limit and result.kind in (ValueType.VECTOR, ValueType.MATRIX):
        rows = rows[:limit]
        warnings.append(TRUNCATED)
    data = result_pieces(result, rows, instant=instant, stats=stats)
    return enveloped_pieces(data, warnings, _shown(result.infos, "info"))


def _stats(seconds: float) -> dict[str, Any]:
    """The times that are known apart; steps of Prometheus' engine that ours lacks took none."""
    return {
        "timings": {
            "evalTotalTime": seconds,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": seconds,
            "execQueueTime": 0,
            "execTotalTime": seconds,
        }
    }


def _shown(texts: Sequence[str], kind: str) -> list[str]:
    """As many as Prometheus shows, and how many there are besides."""
    shown = list(texts[:_MOST_ANNOTATIONS])
    if len(texts) > len(shown):
        shown.append(f"{len(texts) - len(shown)} more {kind} annotations omitted")
    return shown
