"""The Prometheus HTTP API about the server itself: what it is, how it is set, what it holds."""

from __future__ import annotations

import os
import platform
import socket
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from forewarn_collector.api.answers import enveloped_pieces, json_bytes
from forewarn_collector.api.envelope import ApiError, enveloped, success
from forewarn_collector.api.formats import rfc3339
from forewarn_collector.api.parameters import parameters, whole
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.config import CollectorConfig
from forewarn_collector.promql import Deadline
from forewarn_collector.rules import LastReload
from forewarn_collector.store import Store
from forewarn_collector.tasks.database import shown as shown_url
from forewarn_wire.clock import Clock
from forewarn_wire.durations import format_duration

_DEFAULT_LIMIT = 10
_LARGEST_LIMIT = 10_000
_NO_LIMIT = 2**63 - 1


class StatusApi:
    """`/api/v1/status/...`, read only; secrets are never part of the configuration's value."""

    def __init__(
        self,
        config: CollectorConfig,
        store: Store,
        threads: AnswerThreads,
        last_reload: Callable[[], LastReload],
        clock: Clock,
    ) -> None:
        self._config = config
        self._store = store
        self._threads = threads
        self._last_reload = last_reload
        self._clock = clock
        self._started = clock()

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/v1/status/buildinfo", enveloped(self._buildinfo)),
            web.get("/api/v1/status/runtimeinfo", enveloped(self._runtimeinfo)),
            web.get("/api/v1/status/config", enveloped(self._settings)),
            web.get("/api/v1/status/flags", enveloped(self._flags)),
            web.get("/api/v1/status/tsdb", enveloped(self._tsdb)),
            web.get("/api/v1/alertmanagers", enveloped(self._alertmanagers)),
        ]

    async def _buildinfo(self, request: web.Request) -> web.StreamResponse:
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

    async def _runtimeinfo(self, request: web.Request) -> web.StreamResponse:
        """What is Go's alone says that there is no limit; threads stand for its goroutines.

        Rule files that are refused are a warning of the answer.
        """
        reload = self._last_reload()
        return success(
            {
                "startTime": rfc3339(self._started),
                "CWD": str(Path.cwd()),
                "hostname": socket.gethostname(),
                "serverTime": rfc3339(self._clock()),
                "reloadConfigSuccess": not reload.refused,
                "lastConfigTime": rfc3339(reload.taken_at),
                "corruptionCount": self._store.stats().damaged,
                "goroutineCount": threading.active_count(),
                "GOMAXPROCS": os.cpu_count() or 1,
                "GOMEMLIMIT": _NO_LIMIT,
                "GOGC": "",
                "GODEBUG": "",
                "storageRetention": format_duration(self._config.retention),
            },
            [reload.refused] if reload.refused else [],
        )

    async def _settings(self, request: web.Request) -> web.StreamResponse:
        return success({"yaml": yaml.safe_dump(settings(self._config), sort_keys=False)})

    async def _flags(self, request: web.Request) -> web.StreamResponse:
        config = self._config
        return success(
            {
                "listen": str(config.listen),
                "data": str(config.data),
                "rules": ",".join(config.rules),
                "retention": format_duration(config.retention),
                "no-auth": str(not config.auth).lower(),
            }
        )

    async def _alertmanagers(self, request: web.Request) -> web.StreamResponse:
        """Those of the configuration; all are active, whether they answer or not."""
        active = [{"url": each.endpoint} for each in self._config.alertmanagers]
        return success({"activeAlertmanagers": active, "droppedAlertmanagers": []})

    async def _tsdb(self, request: web.Request) -> web.StreamResponse:
        given = await parameters(request)
        limit = _positive(given["limit"]) if given.get("limit") else _DEFAULT_LIMIT

        def pieces(deadline: Deadline) -> Iterator[bytes]:
            return enveloped_pieces([json_bytes(self._cardinality(limit))])

        return await self._threads.answer(request, pieces)

    def _cardinality(self, limit: int) -> dict[str, Any]:
        found = self._store.cardinality(limit)
        ranked = {
            "seriesCountByMetricName": found.series_by_metric,
            "labelValueCountByLabelName": found.values_by_label,
            "memoryInBytesByLabelName": found.bytes_by_label,
            "seriesCountByLabelValuePair": found.series_by_pair,
        }
        head = {
            "numSeries": found.series,
            "numLabelPairs": found.pairs,
            "chunkCount": found.chunks,
            "minTime": found.earliest,
            "maxTime": found.latest,
        }
        lists = {
            name: [{"name": key, "value": value} for key, value in counts]
            for name, counts in ranked.items()
        }
        return {"headStats": head, **lists}


def settings(config: CollectorConfig) -> dict[str, Any]:
    """The settings in force as `collector.yml` has them; of tokens and queues the names only."""
    shown: dict[str, Any] = {
        "listen": str(config.listen),
        "data": str(config.data),
        "rules": list(config.rules),
        "retention": format_duration(config.retention),
        "retention_size": config.retention_size or "unlimited",
        "events": {
            "retention": format_duration(config.events.retention or config.retention),
            "max_size": config.events.max_size,
        },
        "thinning": {
            "after": format_duration(config.thinning.after),
            "hourly_after": format_duration(config.thinning.hourly_after),
        },
        "evaluation_interval": format_duration(config.evaluation_interval),
        "query_timeout": format_duration(config.query_timeout),
        "max_body": config.max_body,
    }
    if config.ledger is not None:
        shown["ledger"] = {"url": shown_url(config.ledger)}
    if config.external_url:
        shown["external_url"] = config.external_url
    if config.external_labels:
        shown["external_labels"] = dict(config.external_labels)
    if config.alertmanagers:
        shown["alertmanagers"] = [{"url": each.url} for each in config.alertmanagers]
        shown["resend_delay"] = format_duration(config.resend_delay)
    if config.tokens:
        shown["tokens"] = [
            {"name": token.name, "role": token.role.value}
            | ({"customer": token.customer} if token.customer else {})
            for token in config.tokens
        ]
    if config.queues is not None:
        shown["default_queue"] = config.default_queue
        shown["queues"] = {name: {} for name in config.queues.names()}
    return shown


def _positive(text: str) -> int:
    try:
        limit = whole(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise ApiError("bad_data", "limit must be a positive number")
    if limit > _LARGEST_LIMIT:
        raise ApiError("bad_data", f"limit must not exceed {_LARGEST_LIMIT}")
    return limit
