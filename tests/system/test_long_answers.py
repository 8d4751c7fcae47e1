"""Answers, queries and addresses that are long."""

from __future__ import annotations

import gzip
import socket
import urllib.parse
from urllib.parse import urlsplit

import pytest

from support.api_calls import ask
from support.servers import RunningCollector, call

pytestmark = pytest.mark.server


def test_large_answers_are_streamed_and_compressed(collector: RunningCollector) -> None:
    given = {
        "query": 'label_replace(vector(time() / 7), "a", "b", "", "") or vector(time() / 3)',
        "start": "0",
        "end": "110000",
        "step": "10",
    }
    plain = ask(collector.url, "query_range", **given)
    assert len(plain.body) > 500_000
    text = urllib.parse.urlencode(given)
    url = f"{collector.url}/api/v1/query_range?{text}"
    packed = call(url, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 3
    assert gzip.decompress(packed.body) == plain.body
    rows = plain.json()["data"]["result"]
    assert [len(row["values"]) for row in rows] == [11_001, 11_001]


# A minute's work: the median of 21,600 samples at each of 11,000 steps.
DEAR = {
    "query": "quantile_over_time(0.5, vector(time())[6h:1s])",
    "start": "0",
    "end": "11000",
    "step": "1",
}


def test_a_time_out_stops_the_work(collector: RunningCollector) -> None:
    answer = ask(collector.url, "query_range", timeout="300ms", **DEAR)
    assert (answer.status, answer.json()["errorType"]) == (503, "timeout")
    assert answer.json()["error"] == "query timed out in expression evaluation"
    for _ in range(2):
        ask(collector.url, "query_range", timeout="100ms", **DEAR)
    # Were the threads still at work, this one would time out in the queue.
    assert ask(collector.url, "query", query="vector(1)", timeout="5s").status == 200


def test_a_client_that_goes_away_ends_its_query(collector: RunningCollector) -> None:
    address = urlsplit(collector.url)
    text = urllib.parse.urlencode(DEAR)
    for _ in range(4):
        with socket.create_connection((address.hostname or "", address.port or 0)) as client:
            request = f"GET /api/v1/query_range?{text} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
            client.sendall(request.encode())
    assert ask(collector.url, "query", query="vector(1)", timeout="5s").status == 200


def test_a_long_expression_may_stand_in_the_address(collector: RunningCollector) -> None:
    # Go's servers take a first line of a mebibyte; Grafana asks by GET where it is told to.
    hosts = "|".join(f"host{number:05}" for number in range(3_000))
    query = f'sum(up{{instance=~"{hosts}"}}) or vector(7)'
    answer = ask(collector.url, "query", query=query)
    assert answer.json()["data"]["result"][0]["value"][1] == "7"
