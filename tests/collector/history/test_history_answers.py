"""Answers of servers that are none: wrong, too large, too slow, or broken off."""

from __future__ import annotations

from contextlib import closing

import orjson
import pytest

from forewarn_collector.history import HistoryError, PrometheusFeed, Server, Window
from forewarn_collector.history import server as server_module
from support.stores import HOUR, matching
from support.stub_server import stub_server

START = 1_790_000_000_000
END = START + HOUR


def _matrix(metric: object, pairs: object) -> bytes:
    return orjson.dumps({"data": {"result": [{"metric": metric, "values": pairs}]}})


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"data": {"result": {"a": 1}}}',
        _matrix({"__name__": "m"}, [[[1], "1"]]),
        _matrix({"__name__": "m"}, [[START / 1000, None]]),
        _matrix({"__name__": "m"}, "abc"),
        _matrix(["m"], []),
    ],
)
def test_an_answer_that_is_none_is_an_error_that_names_the_server(body: bytes) -> None:
    path = "/api/v1/query"
    with (
        stub_server({path: (200, body)}, first={path: (200, b"{}")}) as url,
        closing(Window(PrometheusFeed(Server(url)), [matching("m")])) as window,
        pytest.raises(HistoryError, match=f"answer of {url} cannot be read"),
    ):
        window.select(matching("m"), START, END)


def test_times_beyond_all_that_was_asked_for_do_not_count() -> None:
    path, far = "/api/v1/query", _matrix({"__name__": "m"}, [[1e300, "1"], [-9e18, "1"]])
    with (
        stub_server({path: (200, far)}, first={path: (200, b"{}")}) as url,
        closing(Window(PrometheusFeed(Server(url)), [matching("m")])) as window,
    ):
        assert not len(window.select(matching("m"), START, END).times)


def test_external_labels_that_are_none_are_not_taken_away() -> None:
    config = orjson.dumps({"data": {"yaml": "global: {external_labels: [abc]}"}})
    answers = {
        "/api/v1/query": (200, b"{}"),
        "/api/v1/status/config": (200, config),
        "/api/v1/read": (200, b"\x00"),
    }
    with stub_server(answers) as url, closing(Server(url)) as server:
        assert not PrometheusFeed(server).by_remote_read


def test_an_answer_without_end_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LARGEST_ANSWER", 2 * 2**20)
    body = b"x" * (2 * 2**20)
    answers = {"/fits": (200, body), "/large": (200, body + b"x")}
    with stub_server(answers) as url, closing(Server(url)) as server:
        for _ in range(2):
            answer = server.get("/large")
            assert (answer.status, answer.text) == (413, "the answer has more than 2 MiB")
            # The connection is as good as new.
            assert server.get("/fits").body == body


def test_an_answer_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LONGEST_ANSWER", -1.0)
    with (
        stub_server({"/slow": (200, b"x")}) as url,
        closing(Server(url)) as server,
        pytest.raises(HistoryError, match="did not end"),
    ):
        server.get("/slow")


def test_an_answer_that_breaks_off_is_an_error() -> None:
    with (
        stub_server({"/short": (200, b"x")}, missing=1) as url,
        closing(Server(url)) as server,
        pytest.raises(HistoryError, match="1 more expected"),
    ):
        server.get("/short")
