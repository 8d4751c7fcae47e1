"""The sender, against a real HTTP server that answers any status."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forewarn_agent import sender as sender_module
from forewarn_agent.answers import compress
from forewarn_agent.sender import Sender, SenderStats, Target
from forewarn_agent.spool import EVENTS, SAMPLES, Spool
from forewarn_agent.transport import parse_address
from forewarn_wire import Event, Severity, labels_from
from forewarn_wire.otlp import encode_logs
from forewarn_wire.remote_write import Series, encode_write_request
from support.recorder import Recorder, Reply, Request, recording
from support.servers import free_port
from support.waiting import wait_until

NOW = 1_700_000_000_000


@pytest.fixture(autouse=True)
def _short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same law, a hundred times faster."""
    monkeypatch.setattr(sender_module, "BACKOFF_BASE", 0.01)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(str(tmp_path / "spool"), 2**30)
    opened.open()
    yield opened
    opened.close()


@contextmanager
def sending(spool: Spool, url: str, **target: str) -> Iterator[Sender]:
    sender = Sender(spool, Target(parse_address(url), timeout=5, **target), lambda: NOW)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop(2)


def round_of(spool: Spool, *values: float, time: int = NOW) -> None:
    readings = [
        (Series(labels_from({"__name__": "m", "n": str(number)})), value)
        for number, value in enumerate(values)
    ]
    spool.append(SAMPLES, time, len(values), compress(encode_write_request(readings, time)))


def event(spool: Spool, body: str) -> None:
    labels = labels_from({"job": "log", "instance": "host"})
    one = Event(NOW, "log", Severity.ERROR, labels, body, f"uid-{body}")
    spool.append(EVENTS, NOW, 1, encode_logs([one]))


def empty(spool: Spool) -> bool:
    return spool.stats().entries == 0


def first_then(recorder: Recorder, *replies: Reply) -> None:
    """These answers, in order, then 204."""

    def reply(request: Request) -> Reply:
        return replies[request.at] if request.at < len(replies) else (204, {}, b"")

    recorder.reply = reply


def test_samples_go_as_remote_write_and_events_as_otlp_logs(spool: Spool) -> None:
    with recording() as recorder, sending(spool, recorder.url, token="secret") as sender:
        round_of(spool, 0.0, 1.5)
        sender.wake()
        wait_until("the samples are acknowledged", lambda: empty(spool))
        event(spool, "oh no")
        sender.wake()
        wait_until("the event is acknowledged", lambda: empty(spool))
        write, logs = recorder.requests
        assert write.path == "/api/v1/write"
        assert write.headers["content-type"] == "application/x-protobuf"
        assert write.headers["content-encoding"] == "snappy"
        assert write.headers["x-prometheus-remote-write-version"] == "0.1.0"
        assert write.headers["user-agent"].startswith("forewarn-agent/")
        assert write.headers["authorization"] == "Bearer secret"
        assert write.samples() == [
            ({"__name__": "m", "n": "0"}, 0.0, NOW),
            ({"__name__": "m", "n": "1"}, 1.5, NOW),
        ]
        assert logs.path == "/v1/logs"
        assert logs.headers["content-type"] == "application/x-protobuf"
        assert logs.headers["authorization"] == "Bearer secret"
        assert logs.events() == [
            {
                "body": "oh no",
                "type": "log",
                "severity": "error",
                "service.name": "log",
                "service.instance.id": "host",
                "log.record.uid": "uid-oh no",
            }
        ]


@pytest.mark.parametrize("status", [500, 503, 429, 401, 403, 404, 301, 408])
def test_whatever_is_not_called_invalid_is_kept_and_tried_again(spool: Spool, status: int) -> None:
    with recording() as recorder:
        first_then(recorder, (status, {}, b""), (status, {}, b""))
        round_of(spool, 1.0)
        with sending(spool, recorder.url) as sender:
            wait_until("it is acknowledged at last", lambda: empty(spool))
            assert sender.stats.failures == 2
        assert [request.body for request in recorder.requests] == [recorder.requests[0].body] * 3
        assert spool.stats().rejected == {"samples": 0, "events": 0}


def test_what_is_invalid_is_dropped_counted_and_named(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    with recording() as recorder:
        first_then(recorder, (400, {}, b"series 2: duplicate label\n"))
        round_of(spool, 1.0, 2.0, 3.0)
        with sending(spool, recorder.url):
            wait_until("it is dropped", lambda: empty(spool))
        assert len(recorder.requests) == 1
        assert spool.stats().rejected == {"samples": 3, "events": 0}
        assert "series 2: duplicate label" in caplog.text


def test_one_invalid_body_of_events_does_not_take_the_others_with_it(spool: Spool) -> None:
    with recording() as recorder:

        def reply(request: Request) -> Reply:
            bad = any(found["body"] == "bad" for found in request.events())
            return (400, {}, b"bad") if bad else (204, {}, b"")

        recorder.reply = reply
        for body in ("a", "bad", "b"):
            event(spool, body)
        with sending(spool, recorder.url):
            wait_until("all are dealt with", lambda: empty(spool))
        accepted = [one for one in recorder.requests if reply(one)[0] == 204]
        assert sorted(found["body"] for one in accepted for found in one.events()) == ["a", "b"]
        assert spool.stats().rejected == {"samples": 0, "events": 1}


def test_a_body_that_is_too_large_is_halved_until_it_fits(spool: Spool) -> None:
    with recording() as recorder:

        def reply(request: Request) -> Reply:
            return (413, {}, b"") if len(request.samples()) > 2 else (204, {}, b"")

        recorder.reply = reply
        round_of(spool, *map(float, range(9)))
        with sending(spool, recorder.url):
            wait_until("all is sent", lambda: empty(spool))
        values = [
            value
            for request in recorder.requests
            if reply(request)[0] == 204
            for _, value, _ in request.samples()
        ]
        assert sorted(values) == [float(number) for number in range(9)]
        assert spool.stats().rejected == {"samples": 0, "events": 0}


def test_a_single_series_that_is_too_large_is_dropped_and_counted(spool: Spool) -> None:
    with recording() as recorder:
        recorder.reply = lambda request: (413, {}, b"too large")
        round_of(spool, 1.0)
        with sending(spool, recorder.url):
            wait_until("it is dropped", lambda: empty(spool))
        assert spool.stats().rejected == {"samples": 1, "events": 0}


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed(spool: Spool, as_date: bool) -> None:
    value = "Tue, 14 Nov 2023 22:13:21 GMT" if as_date else "1"  # NOW is one second earlier
    headers = {"Retry-After": value, "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}
    times: list[float] = []
    with recording() as recorder:

        def reply(request: Request) -> Reply:
            times.append(time.monotonic())
            return (429, headers, b"") if len(times) == 1 else (204, {}, b"")

        recorder.reply = reply
        round_of(spool, 1.0)
        with sending(spool, recorder.url) as sender:
            recorder.wait_for("the first attempt", lambda: recorder.requests)
            round_of(spool, 2.0)
            sender.wake()  # new data does not end the wait
            wait_until("it is sent", lambda: empty(spool))
    assert times[1] - times[0] > 0.95


def test_the_back_off_doubles_up_to_its_ceiling_and_starts_anew_after_success(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings: list[float] = []
    monkeypatch.setattr(sender_module, "BACKOFF_CAP", 0.05)

    def longest(low: float, high: float) -> float:
        ceilings.append(high)
        return high

    monkeypatch.setattr(sender_module, "_uniform", longest)
    with recording() as recorder:
        first_then(recorder, *[(503, {}, b"")] * 5, (204, {}, b""), (503, {}, b""))
        round_of(spool, 1.0)
        with sending(spool, recorder.url) as sender:
            wait_until("it is sent", lambda: empty(spool))
            round_of(spool, 2.0)
            sender.wake()
            wait_until("it is sent", lambda: empty(spool))
    assert ceilings == [0.01, 0.02, 0.04, 0.05, 0.05, 0.01]


def test_after_an_outage_fresh_data_goes_first_and_all_of_the_backlog_follows(
    spool: Spool,
) -> None:
    port = free_port()
    with sending(spool, f"http://127.0.0.1:{port}") as sender:
        for number in range(20):
            round_of(spool, float(number), time=NOW + number)
            sender.wake()
        event(spool, "late")
        wait_until("it fails", lambda: sender.stats.failures > 2)
        with recording(port) as recorder:
            wait_until("all is sent", lambda: empty(spool))
    assert recorder.requests[0].path == "/v1/logs"
    assert [value for _, value, _ in recorder.samples()] == [19.0, *map(float, range(19))]


def test_a_dead_peer_does_not_hold_up_who_appends(spool: Spool) -> None:
    release = threading.Event()
    with recording() as recorder:

        def never(request: Request) -> Reply:
            release.wait(5)
            return 204, {}, b""

        recorder.reply = never
        with sending(spool, recorder.url) as sender:
            round_of(spool, 1.0)
            sender.wake()
            recorder.wait_for("the request is there", lambda: recorder.requests)
            began = time.monotonic()
            for _ in range(20):
                round_of(spool, 2.0)
                sender.wake()
            assert time.monotonic() - began < 1
            release.set()
            wait_until("all is sent", lambda: empty(spool))


def test_the_token_is_read_again_from_its_file_when_it_is_refused(
    spool: Spool, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    with recording() as recorder:

        def reply(request: Request) -> Reply:
            good = request.headers.get("authorization") == "Bearer new"
            return (204, {}, b"") if good else (401, {}, b"")

        recorder.reply = reply
        round_of(spool, 1.0)
        with sending(spool, recorder.url, token_file=str(token)):
            recorder.wait_for("the old one is refused", lambda: recorder.requests)
            token.write_text("new\n")
            wait_until("the new one is accepted", lambda: empty(spool))


def test_a_token_file_that_vanishes_is_named_and_waited_for(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = tmp_path / "token"
    round_of(spool, 1.0)
    with recording() as recorder, sending(spool, recorder.url, token_file=str(token)):
        said = f": cannot read the token file {token}: No such file or directory; check"
        wait_until("it says so", lambda: said in caplog.text)
        assert not recorder.requests
        token.write_text("late\n")
        recorder.wait_for("the samples", lambda: recorder.requests)


@pytest.mark.parametrize("content", ["two words", "a\r\nX-Other: b", "naïve"])
def test_a_token_that_is_no_token_is_never_sent_nor_shown(
    spool: Spool, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    with recording() as recorder:
        round_of(spool, 1.0)
        with sending(spool, recorder.url, token_file=str(token)) as sender:
            wait_until("it is refused", lambda: sender.stats.failures > 0)
        assert not recorder.requests
    assert "a token is one word" in caplog.text
    assert content not in caplog.text


def test_no_token_is_ever_logged(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with recording() as recorder:
        recorder.reply = lambda request: (403, {}, b"no")
        round_of(spool, 1.0)
        with sending(spool, recorder.url, token="geheim-7") as sender:
            wait_until("it fails", lambda: sender.stats.failures > 1)
        assert "geheim-7" not in caplog.text
        assert "geheim-7" not in repr(sender.__dict__["_target"])


def test_the_clock_is_compared_with_the_collectors(spool: Spool) -> None:
    with recording() as recorder:
        round_of(spool, 1.0)
        with sending(spool, recorder.url) as sender:
            wait_until("it is sent", lambda: empty(spool))
            offset = sender.stats.clock_offset
    assert offset is not None
    assert offset == pytest.approx(NOW / 1000 - time.time(), abs=3)


def test_stopping_sends_what_is_there_and_does_not_wait_for_a_dead_peer(spool: Spool) -> None:
    with recording() as recorder:
        sender = Sender(spool, Target(parse_address(recorder.url)), lambda: NOW)
        sender.start()
        round_of(spool, 1.0)
        sender.stop(5)
        assert empty(spool)
        assert sender.stats == SenderStats(
            1, 0, len(recorder.requests[0].body), sender.stats.clock_offset
        )
    round_of(spool, 2.0)
    began = time.monotonic()
    dead = Sender(spool, Target(parse_address(recorder.url)), lambda: NOW)
    dead.start()
    dead.stop(5)
    assert time.monotonic() - began < 2
    assert not empty(spool)


def test_events_that_the_collector_rejected_in_an_accepted_body_are_counted(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    with recording() as recorder:
        # ExportLogsServiceResponse with a partial success.
        recorder.reply = lambda request: (200, {}, b"\x0a\x0b\x08\x01\x12\x07too old")
        event(spool, "a")
        event(spool, "b")
        with sending(spool, recorder.url):
            wait_until("all are dealt with", lambda: empty(spool))
    assert spool.stats().rejected == {"samples": 0, "events": 1}
    assert "too old" in caplog.text
