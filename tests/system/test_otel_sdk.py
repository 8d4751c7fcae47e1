"""The OpenTelemetry SDK from PyPI as a sender, set up as docs/sysadmins.md says; values by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import otel_sender
from support.servers import RunningCollector, running_collector

RESOURCE = (
    "service.namespace=web,service.name=shop,service.instance.id=i-1,host.name=h1,"
    "telemetry.sdk.name=opentelemetry"
)
ID = {"job": "web/shop", "instance": "i-1"}
TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
AGGREGATION = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[RunningCollector]:
    with running_collector(tmp_path) as found:
        yield found


def send(collector: RunningCollector, what: str, **env: str) -> None:
    done = subprocess.run(
        [sys.executable, otel_sender.__file__, what],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{collector.url}/v1/logs",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{collector.token}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_RESOURCE_ATTRIBUTES": RESOURCE,
            **env,
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ailed" not in done.stderr, done.stderr


def value(collector: RunningCollector, expr: str) -> float:
    (row,) = collector.query(expr)
    return float(row["value"][1])


def labels(collector: RunningCollector, expr: str) -> dict[str, Any]:
    (row,) = collector.query(expr)
    found: dict[str, Any] = row["metric"]
    return found


@pytest.mark.parametrize("preference", ["cumulative", "delta", "lowmemory"])
def test_every_instrument_in_each_temporality(collector: RunningCollector, preference: str) -> None:
    send(collector, "metrics", **{TEMPORALITY: preference})
    assert labels(collector, "shop_orders_total") == {
        "__name__": "shop_orders_total",
        "shop_town": "Bern",
        "paid": "true",
        **ID,
    }
    assert value(collector, "shop_orders_total") == 40
    assert value(collector, "shop_orders_open") == 20
    assert value(collector, "room_heat_celsius") == 20.5
    assert value(collector, 'disk_read_bytes_total{disk="sda"}') == 200
    assert value(collector, "disk_queue") == 200
    assert value(collector, "disk_used_ratio") == 0.25
    assert value(collector, "shop_order_size_bytes_count") == 20
    assert value(collector, "shop_order_size_bytes_sum") == 9_000
    # The SDK's bounds: 0, 5, ..., 100, 250, 500, 750, 1000; of 0, 100, ... 900 twice each.
    expected = {"0": 2, "75": 2, "100": 4, "250": 6, "500": 12, "750": 16, "1000": 20, "+Inf": 20}
    for bound, count in expected.items():
        assert value(collector, f'shop_order_size_bytes_bucket{{le="{bound}"}}') == count
    info = labels(collector, "target_info")
    assert {name: info[name] for name in (*ID, "host_name")} == {**ID, "host_name": "h1"}
    metadata = collector.get("/api/v1/metadata").json()["data"]
    assert metadata["shop_order_size_bytes"] == [
        {"type": "histogram", "help": "Of one order.", "unit": "bytes"}
    ]
    assert "refused" not in collector.output


def test_exponential_histograms_answer_quantiles(collector: RunningCollector) -> None:
    send(collector, "metrics", **{AGGREGATION: "base2_exponential_bucket_histogram"})
    assert value(collector, "shop_order_size_bytes_count") == 20
    # Up to 512: 0, 100, ... 500, twice each. Half of all is 10, in (256, 512].
    assert value(collector, 'shop_order_size_bytes_bucket{le="512"}') == 12
    median = value(collector, "histogram_quantile(0.5, shop_order_size_bytes_bucket)")
    assert 256 < median <= 512


def test_delta_exponential_histograms_are_refused_by_name_and_the_rest_is_kept(
    collector: RunningCollector,
) -> None:
    env = {TEMPORALITY: "delta", AGGREGATION: "base2_exponential_bucket_histogram"}
    send(collector, "metrics", **env)
    assert value(collector, "shop_orders_total") == 40
    assert collector.query("shop_order_size_bytes_count") == []
    assert "shop.order.size: exponential histograms with delta temporality" in collector.output


def test_log_records_become_events(collector: RunningCollector) -> None:
    send(collector, "logs")
    counted = collector.query("forewarn_events_total")
    by_severity = {row["metric"]["severity"]: row for row in counted}
    assert by_severity["error"]["value"][1] == "1"
    assert by_severity["warn"]["value"][1] == "1"
    assert by_severity["error"]["metric"]["job"] == "web/shop"
    assert by_severity["error"]["metric"]["instance"] == "i-1"
