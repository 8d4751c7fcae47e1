"""A year of a host that upkeep has thinned, asked over HTTP beside a copy with every sample."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from forewarn_collector.store import Thinning
from support.api_calls import ask
from support.servers import RunningCollector, running_collector
from support.year import DAY, HOST, write_year, year_of

pytestmark = pytest.mark.server

HOUR = 3_600
SAMPLE = 150
END = int(time.time()) // 86_400 * 86_400
RECEIVED = "node_network_receive_bytes_total"
FREE = "node_filesystem_avail_bytes"


class Pair(NamedTuple):
    thinned: RunningCollector
    whole: RunningCollector


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("year")
    values = year_of(SAMPLE * 1000)
    settings = Thinning(after=20 * DAY, hourly_after=90 * DAY)
    write_year(folder / "thinned" / "data", HOST, values, END * 1000, settings)
    write_year(folder / "whole" / "data", HOST, values, END * 1000, None)
    config = folder / "collector.yml"
    config.write_text("retention: 400d\nthinning: {after: 380d, hourly_after: 380d}\nrules: []\n")
    arguments = ("--no-auth", "--config", str(config))
    with (
        running_collector(folder / "thinned", *arguments) as thinned,
        running_collector(folder / "whole", *arguments) as whole,
    ):
        yield Pair(thinned, whole)


def asked(collector: RunningCollector, path: str, **given: Any) -> dict[str, Any]:
    answer = ask(collector.url, path, **given)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def points(answer: dict[str, Any]) -> dict[tuple[str, float], float]:
    return {
        (str(sorted(each["metric"].items())), at): float(value)
        for each in answer["data"]["result"]
        for at, value in each["values"]
    }


def both(pair: Pair, query: str, start: int, end: int, step: int) -> tuple[Any, Any]:
    given = {"query": query, "start": start, "end": end, "step": step}
    return asked(pair.thinned, "query_range", **given), asked(pair.whole, "query_range", **given)


PANELS = [
    "node_load1",
    FREE,
    f"{FREE} / 1e9 < 300",
    "sum by (instance) (node_load1)",
    "avg_over_time(node_load1[1d])",
    "max_over_time(node_load1[1h])",
    "min_over_time(node_load1[1d])",
    "count_over_time(node_load1[1h])",
    "avg_over_time(up[1d])",
    "last_over_time(up[1h])",
    f"rate({RECEIVED}[1h])",
    f"sum(increase({RECEIVED}[1d]))",
    f"delta({FREE}[1d])",
    "max_over_time(node_load1[1d:1h])",
]


@pytest.mark.parametrize(
    ("days", "step"), [(365, 12 * HOUR), (365, HOUR), (30, HOUR)], ids=["year", "fine", "month"]
)
def test_graphs_of_whole_hours_are_those_of_all_samples(pair: Pair, days: int, step: int) -> None:
    start = END - days * 24 * HOUR
    for query in PANELS:
        found, wanted = both(pair, query, start, END, step)
        assert points(found) == pytest.approx(points(wanted), rel=1e-9), query
        assert "infos" not in found, query
        assert "warnings" not in found, query


def test_an_hour_within_rows_of_an_hour_is_a_line_that_says_what_it_is(pair: Pair) -> None:
    start = END - 200 * 24 * HOUR
    for query in ("node_load1", "up", f"rate({RECEIVED}[5m])", "max_over_time(node_load1[5m])"):
        found, wanted = both(pair, query, start, start + HOUR, 15)
        assert points(found).keys() == points(wanted).keys(), query
        assert "kept as rows" in found["infos"][0], query
    # The rate of the hour in place of that of five minutes.
    found, _ = both(pair, f"rate({RECEIVED}[5m])", start + 15, start + HOUR - 300, 15)
    _, wanted = both(pair, f"rate({RECEIVED}[1h])", start + HOUR, start + HOUR, 15)
    (rate,) = points(wanted).values()
    assert list(points(found).values()) == pytest.approx([rate] * 220, rel=0.05)
    # Newer time is as it came.
    recent, wanted = both(pair, f"rate({RECEIVED}[5m])", END - HOUR, END, 15)
    assert points(recent) == points(wanted)
    assert "infos" not in recent


@pytest.mark.parametrize("step", [11 * HOUR, 2_011], ids=["year", "month"])
def test_a_graph_at_any_step_has_no_holes(pair: Pair, step: int) -> None:
    end = END - 16 * 24 * HOUR - 1_300
    start = end - step * 750
    for query in ("node_load1", f"rate({RECEIVED}[10m])", f"increase({RECEIVED}[3h])"):
        found, wanted = both(pair, query, start, end, step)
        assert points(found).keys() == points(wanted).keys(), query
        assert "kept as rows" in found["infos"][0], query


@pytest.mark.parametrize(
    ("query", "within"),
    [
        # Noise of 2e8 about a line of 3e11 a year.
        (f"predict_linear({FREE}[30d], 30 * 86400)", 1e8),
        (f"deriv({FREE}[60d]) * 86400 * 30", 1e8),
        # Of values from 1 to 3 and an exponential tail.
        ("quantile_over_time(0.5, node_load1[30d])", 0.1),
        ("stddev_over_time(node_load1[30d])", 0.1),
        (f"count_over_time({FREE}[100m])", 2),
        (f"rate({RECEIVED}[100m]) / 1000", 0.2),
    ],
)
def test_what_is_approximate_is_near_and_says_so(pair: Pair, query: str, within: float) -> None:
    start = END - 300 * 24 * HOUR + 1_300
    found, wanted = both(pair, query, start, END, 36 * HOUR)
    got, expected = points(found), points(wanted)
    assert got.keys() == expected.keys()
    assert len(got) > 150
    assert got == pytest.approx(expected, rel=0, abs=within)
    (text, *_) = [*found.get("infos", ()), *found.get("warnings", ())]
    assert "kept as rows of 5m or 1h" in text


def test_a_raw_range_shows_the_last_sample_of_each_row(pair: Pair) -> None:
    at = END - 200 * 24 * HOUR
    found = asked(pair.thinned, "query", query="node_load1[1d]", time=at)
    wanted = asked(pair.whole, "query", query="node_load1[1d]", time=at)
    (mine,), (every,) = found["data"]["result"], wanted["data"]["result"]
    assert mine["values"] == every["values"][23::24]
    assert "the last sample is shown" in found["warnings"][0]
