"""Metadata of metric families, as remote write 1.0 carries it."""

from __future__ import annotations

from pathlib import Path

import cramjam
import pytest

from forewarn_collector.ingest import Limits, MetadataTable, MetricMetadata, decode_write_request
from support.prompb import WriteRequest
from support.writing import snappy

CAPTURES = Path(__file__).resolve().parents[4] / "shared" / "data" / "captures"


def entry(help: str) -> MetricMetadata:  # noqa: A002 - Prometheus' word for it
    return MetricMetadata("counter", help, "")


def test_metadata_of_a_real_prometheus_reads_as_googles_protobuf_reads_it() -> None:
    path = CAPTURES / "prometheus242_api_v1_write.03.body"
    if not path.exists():
        pytest.skip("the shared captures are not here")
    body = path.read_bytes()
    found = decode_write_request(body, limits=Limits()).metadata
    message = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    # The numbers of prompb/types.proto.
    types = {0: "unknown", 1: "counter", 2: "gauge", 3: "histogram", 5: "summary"}
    assert len(found) == len(message.metadata) == 283
    for item in message.metadata:
        expected = MetricMetadata(types[item.type], item.help, item.unit)
        assert found[item.metric_family_name] == expected


def test_samples_and_metadata_may_come_in_one_body() -> None:
    message = WriteRequest()
    series = message.timeseries.add()
    series.labels.add(name="__name__", value="a_total")
    series.samples.add(value=1.0, timestamp=1_760_000_000_000)
    message.metadata.add(type=1, metric_family_name="a_total", help="What a counts.", unit="a")
    message.metadata.add(type=99, metric_family_name="odd")
    message.metadata.add(type=2, help="of no metric")
    decoded = decode_write_request(snappy(message.SerializeToString()), limits=Limits())
    assert len(decoded.batch.times) == 1
    assert decoded.metadata == {
        "a_total": MetricMetadata("counter", "What a counts.", "a"),
        "odd": MetricMetadata("unknown", "", ""),
    }


def test_a_long_help_is_cut() -> None:
    message = WriteRequest()
    message.metadata.add(type=1, metric_family_name="a", help="x" * 100_000)
    decoded = decode_write_request(snappy(message.SerializeToString()), limits=Limits())
    assert len(decoded.metadata["a"].help) == 2_048


def test_the_table_keeps_the_last_entry_of_a_metric_and_forgets_the_oldest_metrics() -> None:
    table = MetadataTable(most=2)
    table.update({"a": entry("first"), "b": entry("b")})
    table.update({"a": entry("second")})
    table.update({"c": entry("c")})
    assert table.entries() == [("a", entry("second")), ("c", entry("c"))]
    assert table.entries("a") == [("a", entry("second"))]
    assert table.entries("b") == []
