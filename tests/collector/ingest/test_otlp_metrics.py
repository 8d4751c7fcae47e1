"""OTLP metrics to samples; expected values by hand from OTLP's and Prometheus' specifications."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from forewarn_collector.config_otlp import OtlpSettings
from forewarn_collector.ingest import (
    DecodedMetrics,
    Kind,
    Limits,
    MetricsDecoder,
    Rejected,
    TooLargeError,
    UnsupportedTypeError,
    encode_metrics_response,
)
from forewarn_collector.ingest.agents import INTERVAL_METRIC
from forewarn_collector.store import NEVER
from forewarn_wire import Labels, WireError, is_stale, labels_from
from forewarn_wire.protobuf import length_delimited
from support.otlp_metrics import (
    CUMULATIVE,
    DELTA,
    JSON,
    PROTOBUF,
    START,
    TIME,
    attributes,
    document,
    exponential,
    gauge,
    histogram,
    point,
    protobuf,
    sum_of,
)

SHOP = {"service__name": "shop", "service__instance__id": "i-1"}
ID = {"job": "shop", "instance": "i-1"}


def decode(
    given: dict[str, Any], limits: Limits | None = None, extra: Labels = (), **chosen: Any
) -> DecodedMetrics:
    decoder = MetricsDecoder(limits or Limits(), OtlpSettings(**chosen))
    return decoder.decode(protobuf(given), PROTOBUF, "", extra)


def samples(decoded: DecodedMetrics, *, increases: bool = False) -> dict[Labels, Any]:
    batch = decoded.increases.batch if increases else decoded.batch
    found: dict[Labels, Any] = {}
    for row, time, value in zip(
        batch.rows.tolist(), batch.times.tolist(), batch.values.tolist(), strict=True
    ):
        found.setdefault(batch.labels[row], []).append((time, value))
    return found


def named(name: str, **labels: str) -> Labels:
    return labels_from({"__name__": name, **labels})


def test_a_gauge_of_doubles_and_integers() -> None:
    decoded = decode(
        document(
            gauge("cpu.temp", point(asDouble=41.5, labels={"core": "0"}), unit="Cel"),
            gauge("threads", point(asInt="-7")),
            resource=SHOP,
        )
    )
    assert samples(decoded) == {
        named("cpu_temp_celsius", core="0", **ID): [(TIME, 41.5)],
        named("threads", **ID): [(TIME, -7.0)],
    }
    assert decoded.rejected == []


def test_what_is_decoded_again_by_what_is_kept_is_the_same() -> None:
    given = document(
        gauge("g", point(asDouble=1.5, labels={"a": "1"}), point(asInt="3", labels={"a": "2"})),
        sum_of("c", point(asInt="2", labels={"a": "1"}), temporality=DELTA),
        resource=SHOP,
    )
    decoder = MetricsDecoder(Limits(), OtlpSettings())
    first, second = (decoder.decode(protobuf(given), PROTOBUF) for _ in range(2))
    for increases in (False, True):
        assert samples(first, increases=increases) == samples(second, increases=increases)
    assert samples(second) == {
        named("g", a="1", **ID): [(TIME, 1.5)],
        named("g", a="2", **ID): [(TIME, 3.0)],
    }
    assert second.increases.starts.tolist() == [START]
    # The committer finds series by the identity of their labels.
    assert first.batch.labels[0] is second.batch.labels[0]


def test_fields_in_another_order_and_in_more_bytes_mean_the_same() -> None:
    """Protobuf allows any order, a length in more bytes than it needs, and repeated parts."""
    data = Metric(gauge={"data_points": [{"as_int": 3, "time_unix_nano": TIME * 1_000_000}]})
    again = Metric(gauge={"data_points": [{"as_int": 4, "time_unix_nano": TIME * 2_000_000}]})
    name = Metric(name="heat", unit="Cel").SerializeToString()
    metric = data.SerializeToString() + name
    long_length = bytes([len(metric) | 0x80, 0x80, 0x00])
    scope = b"\x1a\x01s\x12" + long_length + metric + length_delimited(1, b"\x0a\x03lib")
    scope += length_delimited(2, name + again.SerializeToString())
    body = length_delimited(1, length_delimited(2, scope))
    decoder = MetricsDecoder(Limits(), OtlpSettings())
    for _ in range(2):
        ((labels, found),) = samples(decoder.decode(body, PROTOBUF)).items()
        assert labels == named("heat_celsius")
        assert sorted(found) == [(TIME, 3.0), (TIME * 2, 4.0)]


def test_an_agent_whose_samples_come_by_otlp_is_known_by_its_interval() -> None:
    decoded = decode(document(gauge("forewarn_agent_interval_seconds", point(asInt="10"))))
    assert INTERVAL_METRIC in decoded.metadata


def test_cumulative_sums_keep_their_value_and_delta_ones_are_increases() -> None:
    decoded = decode(
        document(
            sum_of("orders", point(asInt="20"), unit="1"),
            sum_of("load", point(asDouble=2.5), monotonic=False),
            sum_of("sold", point(asInt="3"), point(start=0, asInt="4"), temporality=DELTA),
        )
    )
    assert samples(decoded) == {
        named("orders_total"): [(TIME, 20.0)],
        named("load"): [(TIME, 2.5)],
    }
    assert samples(decoded, increases=True) == {named("sold_total"): [(TIME, 3.0), (TIME, 4.0)]}
    assert decoded.increases.starts.tolist() == [START, NEVER]
    assert {name: item.type for name, item in decoded.metadata.items()} == {
        "orders_total": "counter",
        "load": "gauge",
        "sold_total": "counter",
    }


HISTOGRAM = {
    "count": "6",
    "sum": 30.5,
    "bucketCounts": ["1", "2", "3"],
    "explicitBounds": [0.5, 1e3],
}


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_a_histogram_becomes_classic_buckets(temporality: int) -> None:
    decoded = decode(
        document(histogram("latency", point(**HISTOGRAM), unit="s", temporality=temporality))
    )
    assert samples(decoded, increases=temporality == DELTA) == {
        named("latency_seconds_bucket", le="0.5"): [(TIME, 1.0)],
        named("latency_seconds_bucket", le="1000"): [(TIME, 3.0)],
        named("latency_seconds_bucket", le="+Inf"): [(TIME, 6.0)],
        named("latency_seconds_count"): [(TIME, 6.0)],
        named("latency_seconds_sum"): [(TIME, 30.5)],
    }
    assert decoded.metadata["latency_seconds"].type == "histogram"
    assert decoded.metadata["latency_seconds"].unit == "seconds"


def test_a_histogram_without_a_sum_has_none_and_without_buckets_only_inf() -> None:
    decoded = decode(document(histogram("h", point(count="4"))))
    assert samples(decoded) == {
        named("h_bucket", le="+Inf"): [(TIME, 4.0)],
        named("h_count"): [(TIME, 4.0)],
    }


@pytest.mark.parametrize(
    ("bounds", "counts", "reason"),
    [
        ([1.0, 2.0], ["1", "2"], "2 bucket counts for 2 bounds"),
        ([2.0, 1.0], ["1", "2", "3"], "do not ascend"),
        ([1.0, "NaN"], ["1", "2", "3"], "do not ascend"),
    ],
)
def test_a_histogram_that_contradicts_itself_is_refused_and_the_rest_is_kept(
    bounds: list[Any], counts: list[str], reason: str
) -> None:
    bad = point(count="6", explicitBounds=bounds, bucketCounts=counts)
    decoded = decode(document(histogram("h", bad), gauge("g", point(asInt="1"))))
    assert list(samples(decoded)) == [named("g")]
    (found,) = decoded.rejected
    assert (found.kind, found.subject) == (Kind.BAD_HISTOGRAM, "h")
    assert reason in found.reason
    assert decoded.refused_points == 1


def test_an_exponential_histogram_gets_the_powers_of_two_for_bounds() -> None:
    # Scale 1: bounds are powers of the root of 2. Offset 2 is (2, 2.83], then (2.83, 4], (4, 5.66].
    # Negative, offset -1: magnitudes (0.71, 1].
    given = point(
        count="14",
        sum=20.0,
        scale=1,
        zeroCount="3",
        positive={"offset": 2, "bucketCounts": ["1", "2", "4"]},
        negative={"offset": -1, "bucketCounts": ["4"]},
    )
    decoded = decode(document(exponential("e", given)))
    assert samples(decoded) == {
        named("e_bucket", le="-1"): [(TIME, 0.0)],
        named("e_bucket", le="-0.5"): [(TIME, 4.0)],
        named("e_bucket", le="0"): [(TIME, 7.0)],
        named("e_bucket", le="2"): [(TIME, 7.0)],
        named("e_bucket", le="4"): [(TIME, 10.0)],
        named("e_bucket", le="8"): [(TIME, 14.0)],
        named("e_bucket", le="+Inf"): [(TIME, 14.0)],
        named("e_count"): [(TIME, 14.0)],
        named("e_sum"): [(TIME, 20.0)],
    }


@pytest.mark.parametrize("scale", [-3, 0, 2, 20])
def test_a_coarser_scale_moves_no_bound(scale: int) -> None:
    """One value, 300, as each scale has it: its bucket is that with 300 in `(lower, upper]`."""
    index = math.ceil(math.log2(300) * 2.0**scale) - 1
    decoded = decode(
        document(
            exponential(
                "e",
                point(count="1", scale=scale, positive={"offset": index, "bucketCounts": ["1"]}),
            )
        )
    )
    edges = {dict(labels).get("le"): value for labels, [(_, value)] in samples(decoded).items()}
    # Of scale -3 the bounds are 2**8 and 2**16.
    upper = "512" if scale >= 0 else "65536"
    assert edges[upper] == 1.0
    assert all(value == 0.0 for edge, value in edges.items() if edge in {"0", "256"})


def test_exponential_buckets_stay_few_however_wide_they_are() -> None:
    wide = point(count="3", scale=0, positive={"offset": -1070, "bucketCounts": ["1"] * 2090})
    assert len(samples(decode(document(exponential("e", wide))))) <= 100
    absurd = point(count="3", scale=-(2**31), positive={"offset": 1, "bucketCounts": ["1"]})
    assert "scale" in decode(document(exponential("e", absurd))).rejected[0].reason


def test_a_summary_has_quantiles_a_sum_and_a_count() -> None:
    given = {
        "name": "pause",
        "unit": "ms",
        "summary": {
            "dataPoints": [
                point(
                    count="9",
                    sum=90.0,
                    quantileValues=[
                        {"quantile": 0.5, "value": 7.0},
                        {"quantile": 1.0, "value": 30.0},
                    ],
                )
            ]
        },
    }
    assert samples(decode(document(given))) == {
        named("pause_milliseconds", quantile="0.5"): [(TIME, 7.0)],
        named("pause_milliseconds", quantile="1"): [(TIME, 30.0)],
        named("pause_milliseconds_count"): [(TIME, 9.0)],
        named("pause_milliseconds_sum"): [(TIME, 90.0)],
    }


def test_what_was_not_recorded_is_a_stale_marker() -> None:
    decoded = decode(
        document(
            gauge("g", point(asInt="0", flags=1)),
            sum_of("c", point(flags=1), temporality=DELTA),
            histogram("h", point(flags=1)),
            {"name": "s", "summary": {"dataPoints": [point(flags=1)]}},
        )
    )
    found = samples(decoded)
    names = {"g", "c_total", "h_bucket", "h_count", "h_sum", "s_count", "s_sum"}
    assert {dict(labels)["__name__"] for labels in found} == names
    assert all(is_stale(value) for ((_, value),) in found.values())
    assert decoded.rejected == []


@pytest.mark.parametrize(
    ("metric", "kind", "reason", "points"),
    [
        (
            sum_of("c", point(asInt="1"), point(asInt="2"), temporality=0),
            Kind.TEMPORALITY,
            "unspecified",
            2,
        ),
        (histogram("c", point(count="1"), temporality=0), Kind.TEMPORALITY, "unspecified", 1),
        (exponential("c", point(count="1"), temporality=DELTA), Kind.TEMPORALITY, "cumulative", 1),
        (gauge("c", point()), Kind.NO_VALUE, "as_double", 1),
        (gauge("c", point(time=0, asInt="1")), Kind.BAD_TIME, "time_unix_nano", 1),
        (gauge("@!", point(asInt="1")), Kind.BAD_NAME, "letter", 1),
        (gauge("c", {**point(asInt="1"), "attributes": attributes(ä="1")}), Kind.BAD_NAME, "ä", 1),
        (gauge("c", point(asInt="1", labels={"a": "x" * 5_000})), Kind.LABEL_LIMIT, "limit", 1),
    ],
)
def test_what_cannot_be_taken_is_named_and_the_rest_is_kept(
    metric: dict[str, Any], kind: Kind, reason: str, points: int
) -> None:
    decoded = decode(document(gauge("kept", point(asInt="1")), metric))
    assert list(samples(decoded)) == [named("kept")]
    (found,) = decoded.rejected
    assert found.kind is kind
    assert reason in found.reason
    assert decoded.refused_points == points


def test_a_usual_number_without_a_time_is_refused_when_it_is_known_too() -> None:
    decoder = MetricsDecoder(Limits(), OtlpSettings())
    decoder.decode(protobuf(document(gauge("g", point(asDouble=1.0)))), PROTOBUF)
    # All eight bytes of the time are there, and zero: protobuf's own encoder would leave it out.
    body = protobuf(document(gauge("g", point(asDouble=1.0))))
    cleared = body.replace((TIME * 1_000_000).to_bytes(8, "little"), bytes(8))
    decoded = decoder.decode(cleared, PROTOBUF)
    assert samples(decoded) == {}
    assert (decoded.rejected[0].kind, decoded.refused_points) == (Kind.BAD_TIME, 1)


def test_a_resource_is_job_instance_and_target_info() -> None:
    resource = {**SHOP, "service__namespace": "web", "host__name": "h1", "os__type": "linux"}
    own = {"job": "web/shop", "instance": "i-1"}
    info = named("target_info", host_name="h1", os_type="linux", **own)
    later = TIME + 400_000
    decoded = decode(
        document(
            gauge("g", point(asInt="1"), point(time=later, asInt="2", labels={"a": "b"})),
            resource=resource,
        )
    )
    # Every half of what an instant query looks back, from the first point's time to the last's.
    assert samples(decoded)[info] == [
        (TIME, 1.0),
        (TIME + 150_000, 1.0),
        (TIME + 300_000, 1.0),
        (later, 1.0),
    ]
    assert samples(decoded)[named("g", **own)] == [(TIME, 1.0)]


def test_there_is_no_target_info_without_anything_to_say_or_to_know_it_by() -> None:
    for resource in (SHOP, {"host__name": "h1"}):
        decoded = decode(document(gauge("g", point(asInt="1")), resource=resource))
        assert [dict(labels)["__name__"] for labels in samples(decoded)] == ["g"]
    with_deltas = decode(
        document(
            sum_of("c", point(asInt="1"), temporality=DELTA),
            resource={**SHOP, "host__name": "h1"},
        )
    )
    assert samples(with_deltas) == {named("target_info", host_name="h1", **ID): [(TIME, 1.0)]}


def test_years_between_points_make_no_flood_of_target_info() -> None:
    points = point(time=1, asInt="1"), point(asInt="1", labels={"a": "b"})
    decoded = decode(document(gauge("g", *points), resource={**SHOP, "host__name": "h1"}))
    assert len(samples(decoded)[named("target_info", host_name="h1", **ID)]) == 1_001


def test_resource_attributes_and_scopes_become_labels_where_that_is_chosen() -> None:
    given = document(
        gauge("g", point(asInt="1", labels={"os__type": "own"})),
        resource={"host__name": "h1", "os__type": "linux"},
        scope={"name": "lib", "version": "1.0", "attributes": attributes(team="a")},
    )
    assert list(samples(decode(given))) == [named("g", os_type="own")]
    promoted = ("host.name", "os.type", "absent")
    decoded = decode(given, promote_resource_attributes=promoted, promote_scope_metadata=True)
    assert list(samples(decoded)) == [
        named(
            "g",
            host_name="h1",
            os_type="own",
            otel_scope_name="lib",
            otel_scope_version="1.0",
            otel_scope_team="a",
        )
    ]


def test_values_of_attributes_are_text_as_go_has_it() -> None:
    values: dict[str, Any] = {
        "text": {"stringValue": "<a>"},
        "yes": {"boolValue": True},
        "whole": {"intValue": "-3"},
        "real": {"doubleValue": 2.0},
        "small": {"doubleValue": 1e-7},
        "large": {"doubleValue": 1e21},
        "bytes": {"bytesValue": "AAE="},
        "list": {"arrayValue": {"values": [{"doubleValue": 1.0}, {"stringValue": "<"}]}},
        "map": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}},
        "none": {},
        "empty": {"stringValue": ""},
    }
    given = point(asInt="1")
    given["attributes"] = [{"key": key, "value": value} for key, value in values.items()]
    assert list(samples(decode(document(gauge("g", given))))) == [
        named(
            "g",
            text="<a>",
            yes="true",
            whole="-3",
            real="2",
            small="1e-7",
            large="1e+21",
            bytes="AAE=",
            list='[1,"\\u003c"]',
            map='{"k":false}',
        )
    ]


def test_attributes_whose_names_become_one_are_joined_and_reserved_ones_overridden() -> None:
    given = point(asInt="1")
    pairs = [("b.c", "2"), ("b_c", "3"), ("b-c", "1"), ("job", "mine"), ("__name__", "other")]
    given["attributes"] = [{"key": k, "value": {"stringValue": v}} for k, v in pairs]
    decoded = decode(
        document(gauge("g", given), resource=SHOP), extra=labels_from({"customer": "acme"})
    )
    # In the order of their names: b-c, b.c, b_c.
    assert list(samples(decoded)) == [named("g", b_c="1;2;3", customer="acme", **ID)]


def test_a_customers_label_overrides_one_that_came() -> None:
    given = document(gauge("g", point(asInt="1", labels={"customer": "other"})))
    decoder = MetricsDecoder(Limits(), OtlpSettings())
    for customer in ("acme", "bell"):
        extra = labels_from({"customer": customer})
        decoded = decoder.decode(protobuf(given), PROTOBUF, "", extra)
        assert list(samples(decoded)) == [named("g", customer=customer)]


def test_exemplars_are_counted_and_the_points_kept() -> None:
    exemplar = {"timeUnixNano": "1", "asDouble": 1.0, "traceId": "00" * 16, "spanId": "00" * 8}
    given = document(
        sum_of("c", point(asInt="1", exemplars=[exemplar])),
        histogram("h", point(count="1", exemplars=[exemplar, exemplar])),
    )
    decoder = MetricsDecoder(Limits(), OtlpSettings())
    decoded = decoder.decode(json.dumps(given).encode(), JSON)
    assert decoded.exemplars == 3
    assert named("c_total") in samples(decoded)


def test_json_and_gzip_are_read_as_protobuf_is() -> None:
    given = document(
        gauge("g", point(asDouble=1.5, labels={"a": "1"})),
        histogram("h", point(**HISTOGRAM)),
        resource=SHOP,
    )
    decoder = MetricsDecoder(Limits(), OtlpSettings())
    text = json.dumps({**given, "unknown": 1}).encode()
    expected = samples(decoder.decode(protobuf(given), PROTOBUF))
    assert samples(decoder.decode(text, "application/json; charset=utf-8")) == expected
    assert samples(decoder.decode(gzip.compress(text), JSON, "gzip")) == expected
    assert samples(decoder.decode(gzip.compress(protobuf(given)), PROTOBUF, "gzip")) == expected


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "error"),
    [
        (b"\x0a\xff", PROTOBUF, "", WireError),
        (b"{", JSON, "", WireError),
        (b"[]", JSON, "", WireError),
        (b'{"resourceMetrics": 1}', JSON, "", WireError),
        (b"", "text/plain", "", UnsupportedTypeError),
        (b"", PROTOBUF, "br", UnsupportedTypeError),
        (b"no gzip", PROTOBUF, "gzip", WireError),
        (b"x" * (17 << 20), PROTOBUF, "", TooLargeError),
        (gzip.compress(bytes(65 << 20)), PROTOBUF, "gzip", TooLargeError),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(
    body: bytes, kind: str, encoding: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        MetricsDecoder(Limits(), OtlpSettings()).decode(body, kind, encoding)


def test_a_request_of_nothing_is_nothing() -> None:
    for nothing in ({}, document(), document({"name": "g"}), document(gauge("g"))):
        decoded = decode(nothing)
        assert samples(decoded) == {}
        assert decoded.rejected == []


def test_the_answer_counts_points_and_gives_a_reason() -> None:
    rejected = [Rejected(Kind.TEMPORALITY, "c", "bad"), Rejected(Kind.BAD_NAME, "d", "worse")]
    body = encode_metrics_response(PROTOBUF, rejected, 5)
    answer = ExportMetricsServiceResponse.FromString(body)
    assert answer.partial_success.rejected_data_points == 5
    assert answer.partial_success.error_message == "c: bad (and 1 more)"
    assert encode_metrics_response(PROTOBUF, [], 0) == b""
    assert json.loads(encode_metrics_response(JSON, [], 0)) == {}


BODY = protobuf(
    document(
        gauge("g", point(asDouble=1.0, labels={"a": "b"})),
        sum_of("c", point(asInt="3"), temporality=DELTA),
        histogram("h", point(**HISTOGRAM)),
        exponential("e", point(count="1", scale=3, positive={"offset": 1, "bucketCounts": ["1"]})),
        {"name": "s", "summary": {"dataPoints": [point(count="1", sum=1.0)]}},
        resource={**SHOP, "host__name": "h1"},
        scope={"name": "lib"},
    )
)


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_are_samples_or_a_wire_error(data: st.DataObject) -> None:
    decoder = MetricsDecoder(Limits(), OtlpSettings(promote_scope_metadata=True))
    decoder.decode(BODY, PROTOBUF)
    body = bytearray(BODY)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not body:
            break
    for hostile in (bytes(body), data.draw(st.binary())):
        with contextlib.suppress(WireError):
            decoded = decoder.decode(hostile, PROTOBUF)
            batch, increases = decoded.batch, decoded.increases
            assert len(batch.rows) == len(batch.times) == len(batch.values)
            assert len(increases.batch.rows) == len(increases.starts)
            assert (batch.times >= 0).all()


FIELDS = (
    *("resourceMetrics", "resource", "scopeMetrics", "metrics", "name", "gauge", "sum"),
    *("dataPoints", "timeUnixNano", "asDouble", "attributes", "key", "value", "stringValue"),
    *("traceId", "exemplars", "histogram", "summary"),
)


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                children,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_samples_or_a_wire_error(given: Any) -> None:
    with contextlib.suppress(WireError):
        MetricsDecoder(Limits(), OtlpSettings()).decode(json.dumps(given).encode(), JSON)
