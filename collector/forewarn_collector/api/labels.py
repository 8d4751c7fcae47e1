"""The Prometheus HTTP API for labels: series, names and values of labels, metadata of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from aiohttp import web

from forewarn_collector.api.answers import enveloped_pieces, list_pieces
from forewarn_collector.api.envelope import ApiError, enveloped, success
from forewarn_collector.api.formats import EARLIEST, LATEST
from forewarn_collector.api.narrowing import customer_of, matchers_for
from forewarn_collector.api.parameters import (
    Given,
    bad,
    limit_of,
    limited,
    parameters,
    selectors_of,
    time_of,
    whole,
)
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.ingest import MetadataTable
from forewarn_collector.promql import Deadline
from forewarn_collector.store import Matcher, Store


class LabelsApi:
    """What series there are, read from the store's index."""

    def __init__(self, store: Store, metadata: MetadataTable, threads: AnswerThreads) -> None:
        self._store = store
        self._metadata = metadata
        self._threads = threads

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/v1/series", enveloped(self._series)),
            web.post("/api/v1/series", enveloped(self._series)),
            web.get("/api/v1/labels", enveloped(self._labels)),
            web.post("/api/v1/labels", enveloped(self._labels)),
            web.get("/api/v1/label/{name}/values", enveloped(self._label_values)),
            web.get("/api/v1/metadata", enveloped(self._metric_metadata)),
        ]

    async def _series(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        if not given.getall("match[]", []):
            raise ApiError("bad_data", "no match[] parameter provided")
        limit, (start, end) = limit_of(given), _span(given)
        try:
            selectors = selectors_of(given, _own(request))
        except ApiError as error:
            raise bad("match[]", error) from error

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            found, warnings = limited(self._store.series(selectors, start, end), limit)
            return enveloped_pieces(list_pieces(list(map(dict, found))), warnings)

        return await self._threads.answer(request, pieces)

    async def _labels(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        limit, (start, end) = limit_of(given), _span(given)
        selectors = selectors_of(given, _own(request))

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            return _texts(self._store.label_names(selectors, start, end), limit)

        return await self._threads.answer(request, pieces)

    async def _label_values(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        name = unescaped(request.match_info["name"])
        limit, (start, end) = limit_of(given), _span(given)
        selectors = selectors_of(given, _own(request))

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            return _texts(self._store.label_values(name, selectors, start, end), limit)

        return await self._threads.answer(request, pieces)

    async def _metric_metadata(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        # There is one entry for a metric, so that a limit of entries for each changes nothing.
        limit, _ = _number(given, "limit"), _number(given, "limit_per_metric")
        metric = given.get("metric", "")
        found: list[tuple[str, Any]] = [
            (name, [{"type": entry.type, "help": entry.help, "unit": entry.unit}])
            for name, entry in self._metadata.entries(metric, customer_of(request))
        ]
        return success(dict(found if limit < 0 else found[:limit]))


def _own(request: web.Request) -> Sequence[Matcher]:
    return matchers_for(customer_of(request))


def _span(given: Given) -> tuple[int, int]:
    return time_of(given, "start", EARLIEST), time_of(given, "end", LATEST)


def _texts(found: Sequence[str], limit: int) -> Iterator[bytes]:
    kept, warnings = limited(found, limit)
    return enveloped_pieces(list_pieces(kept), warnings)


def _number(given: Given, name: str) -> int:
    try:
        return whole(given[name]) if given.get(name) else -1
    except ValueError as error:
        raise ApiError("bad_data", f"{name} must be a number") from error


def unescaped(name: str) -> str:
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
        elif rest[0] == "_":
            code, closed, rest = rest[1:].partition("_")
            if not closed or not _CODE.fullmatch(code) or not _is_character(int(code, 16)):
                return name
            out.append(chr(int(code, 16)))
        else:
            out.append(rest[0])
            rest = rest[1:]
    return "".join(out)


_CODE = re.compile(r"[0-9a-fA-F]{1,6}")


def _is_character(code: int) -> bool:
    return code < 0xD800 or 0xDFFF < code <= 0x10FFFF
