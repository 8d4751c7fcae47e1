"""The samples of a Prometheus or what answers like one, fetched in slices of time.

By remote read where the server has it, since that tells where a series ended (stale markers); by
the query API else, which leaves these markers out, but for VictoriaMetrics, where a NaN is one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import yaml

from forewarn_collector.history.errors import AccessError, HistoryError
from forewarn_collector.history.remote_read import HEADERS, read_request, read_response
from forewarn_collector.history.selecting import broadest, selector_text
from forewarn_collector.history.server import Answer, Server
from forewarn_collector.ingest.limits import TooLargeError
from forewarn_collector.store import Floats, Ints, Matcher, MatchOp
from forewarn_collector.store.index import LabelIndex
from forewarn_wire import STALE_NAN, Labels, WireError, labels_from
from forewarn_wire.labels import METRIC_NAME

_SECOND = 1_000
_DAY = 86_400_000
_SHORTEST = 60 * _SECOND
_LONGEST = _DAY
_FIRST = 3_600_000
"""Length of a slice (ms): it doubles while slices are small, and halves where they are large."""
_FEW, _MANY = 500_000, 4_000_000
"""Samples of a small and a large slice."""
_UP = (Matcher(METRIC_NAME, MatchOp.EQUAL, "up"),)

Selectors = Sequence[Sequence[Matcher]]
Series = tuple[list[Labels], Ints, Floats, Ints]
"""Labels of series, times, values, and how many samples each series has."""


class _TooMuchError(Exception):
    """The server refuses to give so much at once."""


class PrometheusFeed:
    """See `Feed`. Raises HistoryError, also at once if the server does not answer."""

    def __init__(self, server: Server) -> None:
        self.index = LabelIndex()
        self.size = 0
        self.damaged = 0
        self._server = server
        self._slice = _FIRST
        self._external: Mapping[str, str] = {}
        self.by_remote_read = self._has_remote_read()
        # Only VictoriaMetrics has this. It stores no NaN but stale markers.
        self._nan_is_stale = not self.by_remote_read and self._is_victoria()

    @property
    def manner(self) -> str:
        """How samples are read, for people."""
        if self.by_remote_read:
            return "remote read"
        return "queries" if self._nan_is_stale else "queries, without stale markers"

    def samples(
        self, selectors: Selectors, start: int, end: int
    ) -> Iterator[tuple[Ints, Ints, Floats]]:
        """See `Feed`."""
        for parts in self._slices(broadest(selectors), start, end):
            for labels, times, values, counts in parts:
                refs = np.array([self._ref(each) for each in labels], dtype=np.int64)
                yield np.repeat(refs, counts), times, values

    def extent(self, selectors: Selectors, start: int, end: int) -> tuple[int, int] | None:
        """See `Feed`; `up` counts, too."""
        wanted = broadest([*selectors, _UP])
        firsts = (int(_times(found).min()) for found in self._filled(wanted, start, end))
        first = next(firsts, None)
        if first is None:
            return None
        last, high, length = first, end, _SHORTEST
        while last == first and high > first:
            low = max(high - length, first)
            lasts = (int(_times(found).max()) for found in self._filled(wanted, low, high))
            last = max(lasts, default=first)
            high, length = low - 1, min(2 * length, _LONGEST)
        return first, last

    def close(self) -> None:
        """See `Feed`."""
        self._server.close()

    def _ref(self, labels: Labels) -> int:
        ref = self.index.ref(labels)
        if ref is None:
            ref = self.size
            self.index.add([(ref, labels)])
            self.size += 1
        return ref

    def _filled(self, selectors: Selectors, start: int, end: int) -> Iterator[list[Series]]:
        """The slices in which there is anything."""
        return (found for found in self._slices(selectors, start, end) if len(_times(found)))

    def _slices(self, selectors: Selectors, start: int, end: int) -> Iterator[list[Series]]:
        """What each selector finds, slice by slice of time."""
        while start <= end:
            last = min(start + self._slice - 1, end)
            try:
                parts = self._fetch(selectors, start, last)
            except _TooMuchError as error:
                if self._slice <= _SHORTEST:
                    raise HistoryError(
                        f"{self._server.url} refuses even a minute of what the rules read: {error};"
                        " choose fewer rules (--rule) or raise the server's limits"
                    ) from error
                self._slice = max(self._slice // 2, _SHORTEST)
                continue
            samples = len(_times(parts))
            if samples > _MANY:
                self._slice = max(self._slice // 2, _SHORTEST)
            elif samples < _FEW and last - start + 1 == self._slice:
                self._slice = min(self._slice * 2, _LONGEST)
            yield parts
            start = last + 1

    def _fetch(self, selectors: Selectors, start: int, end: int) -> list[Series]:
        if self.by_remote_read:
            return self._remote_read(selectors, start, end)
        return [self._query(matchers, start, end) for matchers in selectors]

    def _remote_read(self, selectors: Selectors, start: int, end: int) -> list[Series]:
        answer = self._server.post("/api/v1/read", read_request(selectors, start, end), HEADERS)
        self._accept(answer)
        try:
            parts = list(read_response(answer.body))
        except TooLargeError as error:
            raise _TooMuchError(str(error)) from error
        except WireError as error:
            raise self._unreadable(str(error)) from error
        if not self._external:
            return parts
        # The server adds them to what it gives away; its rules do not see them.
        own = self._external.items()
        return [
            ([_without(each, own) for each in labels], times, values, counts)
            for labels, times, values, counts in parts
        ]

    def _query(self, matchers: Sequence[Matcher], start: int, end: int) -> Series:
        # Left-open in Prometheus 3, closed in 2: what is too much is cut off below.
        query = f"{selector_text(matchers)}[{end - start + 1}ms]"
        answer = self._server.form("/api/v1/query", query=query, time=f"{end / _SECOND:.3f}")
        self._accept(answer)
        try:
            result = orjson.loads(answer.body)["data"]["result"]
            labels = [labels_from(series["metric"]) for series in result]
            parts = [_columns(series.get("values", ()), start, end) for series in result]
        except (ValueError, TypeError, KeyError) as error:
            raise self._unreadable(repr(error)) from error
        times = np.concatenate([np.empty(0, np.int64), *(times for times, _ in parts)])
        values = np.concatenate([np.empty(0), *(values for _, values in parts)])
        if self._nan_is_stale:
            values[np.isnan(values)] = STALE_NAN
        return labels, times, values, np.array([len(times) for times, _ in parts], np.int64)

    def _has_remote_read(self) -> bool:
        answer = self._server.form("/api/v1/query", query="1")
        if answer.status != 200:
            raise HistoryError(
                f"{self._server.url} has no Prometheus query API ({answer.status}: {answer.text});"
                " name the address that has /api/v1/query below it"
            )
        # Of a server that does not tell its external labels, it is not known which to take away.
        try:
            config = self._server.get("/api/v1/status/config")
            document = yaml.safe_load(orjson.loads(config.body)["data"]["yaml"])
            self._external = dict((document.get("global") or {}).get("external_labels") or {})
            read = self._server.post("/api/v1/read", read_request([], 0, 0), HEADERS)
        except AccessError:
            # Who may not do this may still ask queries, as at a collector without its token.
            return False
        except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
            return False
        return read.status == 200

    def _is_victoria(self) -> bool:
        try:
            return self._server.get("/api/v1/status/active_queries").status == 200
        except AccessError:
            return False

    def _accept(self, answer: Answer) -> None:
        if answer.status == 200:
            return
        if answer.status in {400, 413, 422, 429, 500, 502, 503, 504}:
            raise _TooMuchError(answer.text)
        raise HistoryError(f"{self._server.url} answers {answer.status}: {answer.text}")

    def _unreadable(self, reason: str) -> HistoryError:
        return HistoryError(f"the answer of {self._server.url} cannot be read: {reason}")


def _without(labels: Labels, pairs: Container[tuple[str, str]]) -> Labels:
    return labels_from(pair for pair in labels if pair not in pairs)


def _times(parts: Sequence[Series]) -> Ints:
    return np.concatenate([np.empty(0, np.int64), *(times for _, times, _, _ in parts)])


def _columns(pairs: Sequence[Any], start: int, end: int) -> tuple[Ints, Floats]:
    times = np.rint(np.array([float(time) for time, _ in pairs], np.float64) * _SECOND)
    values = np.array([float(value) for _, value in pairs], np.float64)
    within = (times >= start) & (times <= end)
    return times[within].astype(np.int64), values[within]
