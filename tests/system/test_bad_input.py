"""Bad input gets a clear error that names the place, and loses nothing else."""

from __future__ import annotations

import gzip
import json
import math
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from forewarn_collector.tasks.ledger import Ledger
from forewarn_wire import STALE_NAN, Event, Severity, labels_from
from forewarn_wire.protobuf import varint
from forewarn_wire.remote_write import Series, encode_write_request
from support.prompb import Request2
from support.servers import RunningCollector, call, running_collector
from support.writing import (
    LOGS_HEADERS,
    WRITE_2_HEADERS,
    WRITE_HEADERS,
    logs_body,
    raw_body,
    snappy,
    write_body,
)


def now() -> int:
    return int(time.time() * 1000)


def test_a_body_that_is_not_snappy_is_refused(collector: RunningCollector) -> None:
    answer = collector.post("/api/v1/write", b"hello", **WRITE_HEADERS)
    assert answer.status == 400
    assert b"snappy" in answer.body


def test_a_snappy_bomb_is_refused_before_it_is_unpacked(collector: RunningCollector) -> None:
    # A preamble that claims 4 GiB, and next to nothing behind it.
    answer = collector.post("/api/v1/write", varint(2**32 - 1) + b"\x00", **WRITE_HEADERS)
    assert answer.status == 413


def test_a_truncated_protobuf_is_refused(collector: RunningCollector) -> None:
    body = encode_write_request([(Series((("__name__", "cut_metric"),)), 1.0)], now())
    answer = collector.post("/api/v1/write", snappy(body[:-5]), **WRITE_HEADERS)
    assert answer.status == 400
    assert collector.query("cut_metric") == []


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([("__name__", "dup"), ("a", "1"), ("a", "2")], b"twice"),
        ([("__name__", ""), ("a", "1")], b"name"),
        ([("a", "no name")], b"name"),
        ([("__name__", "long_value"), ("a", "x" * 1_000_000)], b"long"),
        ([("__name__", "many"), *((f"l{i:04}", "1") for i in range(2000))], b"labels"),
    ],
)
def test_a_bad_series_is_named_and_the_rest_of_the_batch_is_kept(
    collector: RunningCollector, pairs: list[tuple[str, str]], reason: bytes
) -> None:
    good = f"kept_beside_{pairs[0][1] or 'nothing'}".replace(" ", "_")
    body = raw_body([(pairs, 1.0), ([("__name__", good)], 2.0)], now())
    answer = collector.post("/api/v1/write", body, **WRITE_HEADERS)
    assert answer.status == 400
    assert reason in answer.body.lower(), answer.body
    assert [row["value"][1] for row in collector.query(good)] == ["2"]


def test_nan_and_infinities_are_values_and_a_stale_marker_ends_a_series(
    collector: RunningCollector,
) -> None:
    at = now()
    values = {"a_nan": math.nan, "an_inf": math.inf, "a_minus": -math.inf, "a_zero": -0.0}
    answer = collector.post("/api/v1/write", write_body(values, at - 1000), **WRITE_HEADERS)
    assert answer.status // 100 == 2
    got = {name: collector.query(name, at / 1000)[0]["value"][1] for name in values}
    assert got == {"a_nan": "NaN", "an_inf": "+Inf", "a_minus": "-Inf", "a_zero": "-0"}
    stale = write_body({"a_nan": STALE_NAN}, at)
    assert collector.post("/api/v1/write", stale, **WRITE_HEADERS).status // 100 == 2
    assert collector.query("a_nan", at / 1000) == []


def test_a_body_over_the_limit_is_refused(collector: RunningCollector) -> None:
    answer = collector.post("/api/v1/write", b"x" * (17 * 2**20), **WRITE_HEADERS)
    assert answer.status == 413


def test_no_token_and_a_wrong_token_are_refused(collector: RunningCollector) -> None:
    body = write_body({"unwanted": 1.0}, now())
    headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic ???"}):
        answer = call(f"{collector.url}/api/v1/write", body, {**headers, **given})
        assert answer.status == 401
        assert b"Authorization: Bearer" in answer.body
    assert collector.query("unwanted") == []
    assert collector.token not in collector.output


def test_another_sites_page_cannot_write_and_another_name_cannot_reach_loopback(
    collector: RunningCollector,
) -> None:
    cross = {"Origin": "https://evil.example"}
    assert collector.post("/api/tasks/FW-1/resolve", b"{}", **cross).status == 403
    assert call(f"{collector.url}/api/tasks", headers={"Host": "evil.example"}).status == 403


@pytest.mark.parametrize(
    ("kind", "encoding", "named"),
    [
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", b"v3"),
        ("application/json", "snappy", b"application/json"),
        ("application/x-protobuf", "gzip", b"gzip"),
    ],
)
def test_another_format_is_told_what_is_expected(
    collector: RunningCollector, kind: str, encoding: str, named: bytes
) -> None:
    answer = collector.post("/api/v1/write", b"", Content_Type=kind, Content_Encoding=encoding)
    assert answer.status == 415
    assert named in answer.body
    assert b"io.prometheus.write.v2.Request" in answer.body
    assert b"with Content-Encoding snappy" in answer.body


def test_remote_write_2_says_what_is_written_also_where_a_part_is_refused(
    collector: RunningCollector,
) -> None:
    request = Request2(symbols=["", "__name__", "of_version_2", "gauge help"])
    good = request.timeseries.add(labels_refs=[1, 2])
    good.samples.add(value=7.0, timestamp=now())
    good.metadata.type, good.metadata.help_ref = 2, 3
    good.exemplars.add(value=1.0)
    for _ in range(2):
        body = snappy(request.SerializeToString())
        answer = collector.post("/api/v1/write", body, **WRITE_2_HEADERS)
        assert answer.status == 204
        assert written(answer.headers) == ["1", "0", "0"]
    request.timeseries.add(labels_refs=[1, 9]).samples.add(value=1.0, timestamp=now())
    request.timeseries.add(labels_refs=[1, 2]).histograms.add(sum=1.0, timestamp=now())
    body = snappy(request.SerializeToString())
    answer = collector.post("/api/v1/write", body, **WRITE_2_HEADERS)
    assert answer.status == 400
    assert b"labels_refs has 9" in answer.body
    assert b"1 native histograms" in answer.body
    assert written(answer.headers) == ["1", "0", "0"]
    assert [row["value"][1] for row in collector.query("of_version_2")] == ["7"]
    told = collector.get("/api/v1/metadata", metric="of_version_2").json()["data"]
    assert told == {"of_version_2": [{"type": "gauge", "help": "gauge help", "unit": ""}]}


def written(headers: dict[str, str]) -> list[str | None]:
    """What the answer says is written of samples, histograms and exemplars."""
    kinds = ("Samples", "Histograms", "Exemplars")
    return [headers.get(f"X-Prometheus-Remote-Write-{kind}-Written") for kind in kinds]


def test_an_event_sent_twice_is_counted_once(collector: RunningCollector) -> None:
    labels = labels_from({"job": "log", "instance": "twice"})
    event = Event(now(), "log", Severity.ERROR, labels, "it broke", "uid-twice")
    for _ in range(2):
        answer = collector.post("/v1/logs", logs_body(event), **LOGS_HEADERS)
        assert answer.status // 100 == 2, answer.body
    found = collector.query('forewarn_events_total{instance="twice"}')
    assert [row["value"][1] for row in found] == ["1"]


def test_garbage_for_logs_is_refused(collector: RunningCollector) -> None:
    assert collector.post("/v1/logs", b"\xff\xff\xff", **LOGS_HEADERS).status == 400
    answer = collector.post("/v1/logs", b"{", Content_Type="application/json")
    assert answer.status == 400


def test_a_query_that_is_wrong_says_where(collector: RunningCollector) -> None:
    answer = collector.get("/api/v1/query", query="sum(")
    assert answer.status == 400
    assert answer.json()["errorType"] == "bad_data"
    assert "query" in answer.json()["error"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"query=\xff"),
        ("application/x-www-form-urlencoded; charset=utf-99", b"query=1"),
        ("multipart/form-data", b"query=1"),
        ("multipart/form-data; boundary=x", b"--x\r\n\xff\r\n"),
    ],
)
def test_a_form_that_is_none_is_bad_data(
    collector: RunningCollector, kind: str, body: bytes
) -> None:
    answer = collector.post("/api/v1/query", body, Content_Type=kind)
    assert (answer.status, answer.json()["errorType"]) == (400, "bad_data")


def test_a_many_to_many_match_is_an_execution_error(collector: RunningCollector) -> None:
    at = now()
    for host in ("a", "b"):
        body = write_body({"m1": 1.0, "m2": 1.0}, at, host=host)
        assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status // 100 == 2
    answer = collector.get("/api/v1/query", query="m1 * on() group_left m2", time=str(at / 1000))
    assert answer.status == 422
    assert "many-to-many" in answer.json()["error"]


def test_samples_since_epoch_0_may_come_late_twice_and_out_of_order(tmp_path: Path) -> None:
    with running_collector(tmp_path, "--no-auth") as fresh:
        for time_ms, value in ((60_000, 2.0), (0, 1.0), (60_000, 2.0), (30_000, 1.5)):
            body = write_body({"aged": value}, time_ms)
            assert fresh.post("/api/v1/write", body, **WRITE_HEADERS).status // 100 == 2
        got = fresh.query("aged[2m]", 60.0)
    assert got[0]["values"] == [[0, "1"], [30, "1.5"], [60, "2"]]


def test_an_unknown_task_is_not_found(collector: RunningCollector) -> None:
    assert collector.get("/api/tasks/FW-999999").status == 404
    answer = collector.post(
        "/api/tasks/FW-999999/comment",
        json.dumps({"text": "x"}).encode(),
        Content_Type="application/json",
    )
    assert answer.status == 404


def test_a_varint_that_never_ends_is_refused(collector: RunningCollector) -> None:
    body = snappy(b"\x0a" + b"\xff" * 20 + struct.pack("<Q", 1))
    assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status == 400


def test_gzip_of_many_members_is_refused_at_once(collector: RunningCollector) -> None:
    body = gzip.compress(b"") * 100_000
    answer = collector.post(
        "/v1/logs", body, Content_Type="application/x-protobuf", Content_Encoding="gzip"
    )
    assert answer.status == 400
    assert b"members" in answer.body


def test_a_flood_of_bad_series_is_refused_as_a_whole(collector: RunningCollector) -> None:
    answer = collector.post("/api/v1/write", snappy(b"\x0a\x00" * 100_000), **WRITE_HEADERS)
    assert answer.status == 400
    assert b"more than 10000" in answer.body


@pytest.mark.parametrize("query", ["up[99999999y]", "up offset 300000000y"])
def test_a_duration_beyond_all_time_is_a_bad_query(collector: RunningCollector, query: str) -> None:
    answer = collector.get("/api/v1/query", query=query)
    assert answer.status == 400
    assert "out of range" in answer.json()["error"]


def test_a_header_of_no_known_letters_is_no_token(collector: RunningCollector) -> None:
    with socket.create_connection(("127.0.0.1", int(collector.url.rpartition(":")[2]))) as raw:
        raw.sendall(
            b"POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
            b"Authorization: Basic \xc3\xa9!!\r\nConnection: close\r\n\r\n"
        )
        assert raw.recv(1024).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("LOCALHOST:9815", 200),
        ("[::1]:1", 200),
        ("127.0.0.2", 200),
        ("localhost:x@evil", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
def test_only_this_machines_names_reach_a_loopback_address(
    collector: RunningCollector, host: str, status: int
) -> None:
    assert call(f"{collector.url}/api/tasks", headers={"Host": host}).status == status


def test_a_second_collector_on_the_same_data_says_so(collector: RunningCollector) -> None:
    command = [sys.executable, "-m", "forewarn_collector", "serve", "--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, "--data", str(collector.data)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "in use by another collector" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands in the way")
    command = [sys.executable, "-m", "forewarn_collector", "serve", "--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "data")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert f"cannot make the data directory {tmp_path / 'data'}" in done.stderr


def test_a_rule_for_a_queue_that_is_not_there_is_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: A, expr: up, task: {queue: nowhere}}]}]\n")
    command = [sys.executable, "-m", "forewarn_collector", "serve", "--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "data"), "--rules", str(rules)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"{rules}:1:1: A: there is no queue nowhere" in done.stderr


def test_a_customers_token_writes_for_the_customer_and_reads_nothing(tmp_path: Path) -> None:
    token = tmp_path / "acme.token"
    token.write_text("a-token-of-the-customer-acme\n")
    config = tmp_path / "collector.yml"
    config.write_text(f"tokens: [{{name: acme, token_file: {token}, customer: acme}}]\n")
    with running_collector(tmp_path, "--config", str(config)) as own:
        headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
        headers["Authorization"] = "Bearer a-token-of-the-customer-acme"
        body = write_body({"spoofed": 1.0}, now(), customer="other")
        assert call(f"{own.url}/api/v1/write", body, headers).status == 204
        assert own.query("spoofed")[0]["metric"]["customer"] == "acme"
        assert call(f"{own.url}/api/tasks", headers=headers).status == 403


def test_a_ledger_that_turns_out_to_be_broken_once_open_is_named_with_a_remedy(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    ledger.open()
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'alerts'"
        (page,) = connection.execute(query).fetchone()
    with ledger.path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    command = [sys.executable, "-m", "forewarn_collector", "serve", "--listen", "127.0.0.1:0"]
    found = subprocess.run(
        [*command, "--data", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert f"run `forewarn doctor --repair {tmp_path}`" in found.stderr
