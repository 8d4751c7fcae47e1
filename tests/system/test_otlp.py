"""OTLP over HTTP against a running collector: statuses, bodies, rules, restarts."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from support.otlp_metrics import DELTA, JSON, PROTOBUF, document, gauge, point, protobuf, sum_of
from support.servers import RunningCollector, running_collector
from support.waiting import wait_until


def now() -> int:
    return int(time.time() * 1000)


def test_metrics_in_every_form_are_answered_in_theirs(collector: RunningCollector) -> None:
    for name, kind in (("in_protobuf", PROTOBUF), ("in_json", JSON)):
        given = document(gauge(name, point(time=now(), asDouble=2.5)))
        body = protobuf(given) if kind == PROTOBUF else json.dumps(given).encode()
        plain = collector.post("/v1/metrics", body, Content_Type=kind)
        packed = collector.post(
            "/v1/metrics", gzip.compress(body), Content_Type=kind, Content_Encoding="gzip"
        )
        for answer in (plain, packed):
            assert answer.status == 200
            assert answer.headers["Content-Type"] == kind
            assert answer.body == (b"" if kind == PROTOBUF else b"{}")
        assert [row["value"][1] for row in collector.query(name)] == ["2.5"]


def test_a_partial_success_counts_and_names_what_was_refused(collector: RunningCollector) -> None:
    at = now()
    given = document(
        gauge("kept_point", point(time=at, asInt="1")),
        sum_of("odd.sum", point(time=at, asInt="1"), point(time=at, asInt="2"), temporality=0),
    )
    answer = collector.post("/v1/metrics", protobuf(given), Content_Type=PROTOBUF)
    assert answer.status == 200
    told = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert told.rejected_data_points == 2
    assert told.error_message.startswith("odd.sum: its aggregation temporality is unspecified")
    assert collector.query("kept_point")
    in_json = collector.post("/v1/metrics", json.dumps(given).encode(), Content_Type=JSON)
    assert in_json.json()["partialSuccess"]["rejectedDataPoints"] == "2"


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs"])
@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status"),
    [
        (b"hello", PROTOBUF, "", 400),
        (b"{", JSON, "", 400),
        (b"hello", PROTOBUF, "gzip", 400),
        (b"", "text/plain", "", 415),
        (b"", PROTOBUF, "zstd", 415),
        (bytes(17 << 20), PROTOBUF, "", 413),
    ],
)
def test_errors_are_told_in_the_form_of_the_request(
    collector: RunningCollector, path: str, body: bytes, kind: str, encoding: str, status: int
) -> None:
    answer = collector.post(path, body, Content_Type=kind, Content_Encoding=encoding)
    assert answer.status == status
    if kind == JSON:
        assert answer.json()["message"]
    elif kind == PROTOBUF:
        # google.rpc.Status{2: string message}
        assert answer.headers["Content-Type"] == PROTOBUF
        assert answer.body[:1] == b"\x12"
        assert answer.body[-20:].isascii()
    else:
        assert answer.headers["Content-Type"].startswith("text/plain")


def test_metadata_and_labels_are_those_of_prometheus(collector: RunningCollector) -> None:
    given = document(
        sum_of(
            "http.server.requests",
            point(time=now(), asInt="7", labels={"http__route": "/a"}),
            unit="{request}",
            description="Requests served.",
        ),
        resource={"service__namespace": "web", "service__name": "shop", "host__name": "h1"},
    )
    assert collector.post("/v1/metrics", protobuf(given), Content_Type=PROTOBUF).status == 200
    found = collector.get("/api/v1/metadata", metric="http_server_requests_total").json()["data"]
    assert found == {
        "http_server_requests_total": [{"type": "counter", "help": "Requests served.", "unit": ""}]
    }
    (row,) = collector.query(
        "http_server_requests_total * on (job) group_left (host_name) target_info"
    )
    assert row["metric"] == {"http_route": "/a", "job": "web/shop", "host_name": "h1"}
    assert row["value"][1] == "7"


RULES = """
groups:
  - name: shop
    interval: 1h
    rules:
      - alert: OrdersFail
        expr: increase(orders_failed_total[1m]) > 0
        task: {group_by: [job]}
"""


def test_a_rule_sees_the_first_delta_at_once_and_a_kill_loses_none(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    at = now()
    shop = {"service__name": "shop"}

    def failed(second: int, orders: str) -> bytes:
        begin = at - 30_000 + second * 1_000
        given = point(start=begin - 1_000, time=begin, asInt=orders)
        return protobuf(document(sum_of("orders.failed", given, temporality=DELTA), resource=shop))

    with running_collector(tmp_path, "--rules", str(rules)) as collector:
        first = failed(0, "3")
        assert collector.post("/v1/metrics", first, Content_Type=PROTOBUF).status == 200
        wait_until("a task is opened", lambda: collector.tasks())
        (task,) = collector.tasks()
        assert task["labels"]["job"] == "shop"
        collector.process.kill()
        collector.process.wait()
    with running_collector(tmp_path, "--rules", str(rules)) as collector:
        for body in (first, failed(1, "4"), failed(1, "4"), first):
            assert collector.post("/v1/metrics", body, Content_Type=PROTOBUF).status == 200
        (row,) = collector.query("orders_failed_total", at / 1000)
        assert row["value"][1] == "7"
        assert len(collector.tasks()) == 1


def test_a_customers_points_bear_the_customer_and_keep_to_its_limits(tmp_path: Path) -> None:
    (tmp_path / "acme.token").write_text("acme-token-of-some-length\n")
    config = tmp_path / "collector.yml"
    config.write_text(
        """
tokens: [{name: acme, token_file: acme.token, customer: acme}]
limits: {customers: [{customer: acme, series: 1, samples: 1}]}
otlp: {promote_resource_attributes: [host.name]}
"""
    )
    with running_collector(tmp_path, "--config", str(config)) as collector:
        headers = {"Authorization": "Bearer acme-token-of-some-length", "Content_Type": PROTOBUF}
        points = [point(time=now(), asInt="1", labels={"n": str(n)}) for n in range(100)]
        given = protobuf(document(gauge("g", *points), resource={"host__name": "h1"}))
        answer = collector.post("/v1/metrics", given, **headers)
        assert answer.status == 200
        told = ExportMetricsServiceResponse.FromString(answer.body).partial_success
        assert told.rejected_data_points == 99
        assert "the limit" in told.error_message
        (row,) = collector.query("g")
        assert row["metric"]["customer"] == "acme"
        assert row["metric"]["host_name"] == "h1"
        # 100 samples at once are over one a second, but for a minute's worth that is saved up.
        late = collector.post("/v1/metrics", given, **headers)
        assert late.status == 429
        assert int(late.headers["Retry-After"]) >= 1
        assert late.headers["Content-Type"] == PROTOBUF


def test_a_delta_of_the_future_is_refused_and_its_counter_goes_on(
    collector: RunningCollector,
) -> None:
    at = now()
    # The largest time that OTLP can say is in the year 2554.
    for time_of_point, value in ((at - 2000, 5), (18_446_744_073_709, 7), (at - 1000, 11)):
        given = document(sum_of("far", point(time=time_of_point, asInt=value), temporality=DELTA))
        answer = collector.post("/v1/metrics", json.dumps(given).encode(), Content_Type=JSON)
        refused = answer.json().get("partialSuccess", {})
        assert ("later than a day from now" in refused.get("errorMessage", "")) == (value == 7)
    assert [row["value"][1] for row in collector.query("far_total")] == ["16"]
