"""What the OpenTelemetry SDK sent, as recorded; what it measured is known from the values it gives.

The program that was recorded took 20 durations in each of two turns: 3.7 ms times 0, 1, ... 39.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.config_otlp import OtlpSettings
from forewarn_collector.ingest import DecodedMetrics, Limits, MetricsDecoder, decode_write_request
from forewarn_wire import Labels, labels_from

CAPTURES = Path(__file__).parents[4] / "shared" / "data" / "captures"
ID = {"job": "shop", "instance": "i-1"}
ROUTE = {"http_route": "/a"} | ID
INFO = {
    "host_name": "h1",
    "telemetry_sdk_language": "python",
    "telemetry_sdk_name": "opentelemetry",
    "telemetry_sdk_version": "1.45.2",
} | ID
BOUNDS = [
    *("0", "5", "10", "25", "50", "75", "100", "250", "500", "750"),
    *("1000", "2500", "5000", "7500", "10000"),
]

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="the recorded requests are not on this machine"
)


def named(name: str, labels: dict[str, str], **more: str) -> Labels:
    return labels_from({"__name__": name, **labels, **more})


def decoded(name: str) -> DecodedMetrics:
    headers = {
        key.lower(): value
        for key, value in json.loads((CAPTURES / f"{name}.json").read_text())["headers"].items()
    }
    found = MetricsDecoder(Limits(), OtlpSettings()).decode(
        (CAPTURES / f"{name}.body").read_bytes(),
        headers["content-type"],
        headers.get("content-encoding", ""),
    )
    assert found.rejected == []
    return found


def values(batch: Any) -> dict[Labels, float]:
    found = {
        batch.labels[row]: value
        for row, value in zip(batch.rows.tolist(), batch.values.tolist(), strict=True)
    }
    assert len(found) == len(batch.rows)
    return found


def classic(first: int, last: int, bounds: list[str]) -> dict[Labels, float]:
    """The histogram of the durations from one number to before another."""
    durations = [3.7 * number for number in range(first, last)]
    name = "http_server_duration_milliseconds"
    buckets = {
        named(f"{name}_bucket", ROUTE, le=bound): float(
            sum(duration <= float(bound) for duration in durations)
        )
        for bound in (*bounds, "+Inf")
    }
    return {
        **buckets,
        named(f"{name}_count", ROUTE): float(len(durations)),
        named(f"{name}_sum", ROUTE): pytest.approx(sum(durations)),
    }


REQUESTS = named("http_server_requests_total", ROUTE, status="200")
PLAIN = {
    named("cpu_temp_celsius", ID, core="0"): 41.5,
    named("target_info", INFO): 1.0,
}


# Two turns, and what the SDK sends at its end, which is the second turn again.
TURNS = pytest.mark.parametrize(("number", "taken"), [(1, 20), (2, 40), (3, 40)])


@TURNS
def test_cumulative_requests(number: int, taken: int) -> None:
    found = decoded(f"otlp_cum_v1_metrics.0{number}")
    assert values(found.batch) == {
        **PLAIN,
        REQUESTS: float(taken),
        named("queue_length", ID): 6.0 * taken / 20,
        **classic(0, taken, BOUNDS),
    }
    assert not len(found.increases.starts)


@TURNS
def test_delta_requests(number: int, taken: int) -> None:
    found = decoded(f"otlp_delta_gzip_v1_metrics.0{number}")
    # An up-down counter stays cumulative where the SDK prefers deltas.
    assert values(found.batch) == {**PLAIN, named("queue_length", ID): 6.0 * taken / 20}
    # At its end it has nothing new to say of the others.
    grown = {REQUESTS: 20.0, **classic(taken - 20, taken, BOUNDS)} if number < 3 else {}
    assert values(found.increases.batch) == grown
    assert (found.increases.starts < found.increases.batch.times).all()


@TURNS
def test_exponential_requests(number: int, taken: int) -> None:
    # The smallest duration but 0 is 3.7, so that the powers of two begin with the one below.
    bounds = ["0", "2", "4", "8", "16", "32", "64", "128", "256"]
    assert values(decoded(f"otlp_exp_v1_metrics.0{number}").batch) == {
        **PLAIN,
        REQUESTS: float(taken),
        named("queue_length", ID): 6.0 * taken / 20,
        **classic(0, taken, bounds[:8] if taken == 20 else bounds),
    }


@pytest.mark.parametrize("number", [1, 2])
def test_the_sdks_remote_write_exporter(number: int) -> None:
    body = (CAPTURES / f"otelprw_api_v1_write.0{number}.body").read_bytes()
    found = decode_write_request(body, limits=Limits())
    assert found.rejected == []
    assert len(found.batch.times)
