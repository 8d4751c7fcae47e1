"""The signals that `forewarn rules check` compares rules with: a collector's, or a directory's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import click

from forewarn_collector.cli.client import Client
from forewarn_collector.history import DirectoryFeed, DirectoryWindow, HistoryError, selector_text
from forewarn_collector.promql import LOOKBACK, EvalError, compile_query
from forewarn_collector.store import Matcher
from forewarn_wire import Labels, labels_from
from forewarn_wire.labels import METRIC_NAME, is_label_name

_EVER = 2**62


class CollectorSignals:
    """See `Signals`: what a running collector answers. Ends the command if there is none."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._metrics = frozenset(self.values(METRIC_NAME, []))
        self._exist: dict[str, bool] = {}

    def metrics(self) -> Collection[str]:
        """See `Signals`."""
        return self._metrics

    def exist(self, matchers: Sequence[Matcher]) -> bool:
        """See `Signals`."""
        text = selector_text(matchers)
        if text not in self._exist:
            query = {"match[]": text, "limit": "1"}
            self._exist[text] = bool(self._client.get("/api/v1/series", query)["data"])
        return self._exist[text]

    def values(self, label: str, matchers: Sequence[Matcher]) -> Collection[str]:
        """See `Signals`."""
        query = {"match[]": selector_text(matchers)} if matchers else {}
        path = f"/api/v1/label/{_escaped(label)}/values"
        found: list[str] = self._client.get(path, query)["data"]
        return found

    def vector(self, expr: str) -> Sequence[tuple[Labels, float]]:
        """See `Signals`."""
        try:
            answer = self._client.get("/api/v1/query", {"query": expr})
        except click.ClickException:
            # Too much for the collector, or no expression for these series.
            return ()
        found = answer["data"]["result"]
        return [(labels_from(each["metric"]), float(each["value"][1])) for each in found]


class DirectorySignals:
    """See `Signals`: what a data directory holds, as of its last sample. Raises HistoryError."""

    def __init__(self, directory: Path) -> None:
        self._feed = DirectoryFeed(directory)
        extent = self._feed.extent([], 0, _EVER)
        self._end = extent[1] if extent else 0
        self._metrics = frozenset(self.values(METRIC_NAME, []))

    def metrics(self) -> Collection[str]:
        """See `Signals`."""
        return self._metrics

    def exist(self, matchers: Sequence[Matcher]) -> bool:
        """See `Signals`."""
        return len(self._feed.index.select(matchers).refs) > 0

    def values(self, label: str, matchers: Sequence[Matcher]) -> Collection[str]:
        """See `Signals`."""
        found = (dict(labels).get(label, "") for labels in self._feed.index.select(matchers).labels)
        return set(found) - {""}

    def vector(self, expr: str) -> Sequence[tuple[Labels, float]]:
        """See `Signals`."""
        query = compile_query(expr)
        window = DirectoryWindow(self._feed, [selector.matchers for selector in query.selectors])
        try:
            return query.instant(window, self._end, lookback=LOOKBACK).vector()
        except (EvalError, HistoryError):
            return ()

    def close(self) -> None:
        """Let go of the file."""
        self._feed.close()


def _escaped(name: str) -> str:
    """A label's name as it may stand in an address: Prometheus' `U__` notation."""
    if is_label_name(name):
        return name
    plain = (each if each.isascii() and each.isalnum() else f"_{ord(each):x}_" for each in name)
    return "U__" + "".join("__" if each == "_5f_" else each for each in plain)
