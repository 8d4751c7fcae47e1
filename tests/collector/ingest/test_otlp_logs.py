"""OTLP logs, as protobuf and JSON, to events; values from OTLP's specification and its example."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from forewarn_collector.ingest import (
    DecodedEvents,
    Kind,
    Limits,
    Rejected,
    TooLargeError,
    decode_logs,
    encode_logs_response,
)
from forewarn_collector.ingest.records import label_name
from forewarn_wire import Event, Severity, WireError, labels_from
from forewarn_wire.otlp import encode_logs

LIMITS = Limits()
PROTOBUF, JSON = "application/x-protobuf", "application/json"
NANOS = 1_544_712_660_300_000_000

# opentelemetry-proto `examples/logs.json`, with the time and ids as they stand there.
EXAMPLE: dict[str, Any] = {
    "resourceLogs": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]
            },
            "scopeLogs": [
                {
                    "scope": {"name": "my.library", "version": "1.0.0", "attributes": []},
                    "logRecords": [
                        {
                            "timeUnixNano": "1544712660300000000",
                            "observedTimeUnixNano": "1544712660300000000",
                            "severityNumber": 10,
                            "severityText": "Information",
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "EEE19B7EC3C1B174",
                            "body": {"stringValue": "Example log record"},
                            "attributes": [
                                {
                                    "key": "string.attribute",
                                    "value": {"stringValue": "some string"},
                                },
                                {"key": "boolean.attribute", "value": {"boolValue": True}},
                                {"key": "int.attribute", "value": {"intValue": "10"}},
                                {"key": "double.attribute", "value": {"doubleValue": 637.704}},
                                {
                                    "key": "array.attribute",
                                    "value": {
                                        "arrayValue": {
                                            "values": [
                                                {"stringValue": "many"},
                                                {"stringValue": "values"},
                                            ]
                                        }
                                    },
                                },
                                {
                                    "key": "map.attribute",
                                    "value": {
                                        "kvlistValue": {
                                            "values": [
                                                {
                                                    "key": "some.map.key",
                                                    "value": {"stringValue": "some value"},
                                                }
                                            ]
                                        }
                                    },
                                },
                            ],
                        }
                    ],
                }
            ],
        }
    ]
}


def decode(
    body: bytes, content_type: str = PROTOBUF, encoding: str = "", **options: Any
) -> DecodedEvents:
    return decode_logs(
        body, content_type, encoding, limits=options.pop("limits", LIMITS), **options
    )


def request(resource: dict[str, str] | None = None, **record: Any) -> bytes:
    """A protobuf request of one record, from the fields of OTLP's JSON."""
    attributes = [
        {"key": key, "value": {"stringValue": value}} for key, value in (resource or {}).items()
    ]
    document = {
        "resourceLogs": [
            {
                "resource": {"attributes": attributes},
                "scopeLogs": [{"logRecords": [{"timeUnixNano": str(NANOS), **record}]}],
            }
        ]
    }
    message = json_format.ParseDict(document, ExportLogsServiceRequest())
    return bytes(message.SerializeToString())


def strings(**pairs: str) -> list[dict[str, Any]]:
    return [
        {"key": key.replace("__", "."), "value": {"stringValue": v}} for key, v in pairs.items()
    ]


def one(decoded: DecodedEvents) -> Event:
    assert decoded.rejected == []
    assert len(decoded.events) == 1
    return decoded.events[0]


def refused(decoded: DecodedEvents) -> Rejected:
    assert decoded.events == []
    assert len(decoded.rejected) == 1
    return decoded.rejected[0]


def snake(value: Any) -> Any:
    """The document with field names as in the .proto file, which JSON readers must also take."""
    if isinstance(value, dict):
        return {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(item)
            for key, item in value.items()
        }
    return [snake(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("document", [EXAMPLE, snake(EXAMPLE)])
def test_the_specifications_example_in_json_is_an_event(document: dict[str, Any]) -> None:
    event = one(decode(json.dumps(document).encode(), "application/json; charset=utf-8"))
    assert event.time == 1_544_712_660_300
    assert event.severity is Severity.INFO
    assert event.body == "Example log record"
    assert event.type == "log"
    assert event.labels == (("job", "my.service"),)
    assert event.attributes == {
        "string.attribute": "some string",
        "boolean.attribute": "true",
        "int.attribute": "10",
        "double.attribute": "637.704",
        "array.attribute": '["many","values"]',
        "map.attribute": '{"some.map.key":"some value"}',
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174",
    }


def test_what_the_agent_encodes_comes_back_the_same() -> None:
    events = [
        Event(
            time=1_760_000_000_000 + k,
            type="process_exit",
            severity=severity,
            labels=labels_from({"instance": f"host{k % 2}", "job": "node", "groupname": "nginx"}),
            body="exited: é\n",
            uid=f"uid-{k}",
            attributes={"pid": str(k), "why": ""},
        )
        for k, severity in enumerate(Severity)
    ]
    decoded = decode(encode_logs(events))
    assert decoded.rejected == []
    assert sorted(decoded.events, key=lambda event: event.time) == events
    packed = gzip.compress(encode_logs(events))
    assert decode(packed, PROTOBUF, "gzip") == decoded


def test_a_record_without_a_uid_gets_the_same_one_each_time() -> None:
    body = request(body={"stringValue": "disk error"}, attributes=strings(a="1", b="2"))
    other = request(body={"stringValue": "disk error"}, attributes=strings(a="1", b="3"))
    later = request(body={"stringValue": "disk error"}, timeUnixNano=str(NANOS + 1))
    swapped = request(body={"stringValue": "disk error"}, attributes=strings(b="2", a="1"))
    assert one(decode(body)).uid == one(decode(body)).uid == one(decode(swapped)).uid
    assert len({one(decode(item)).uid for item in (body, other, later)}) == 3
    customer = decode(body, extra=(("customer", "acme"),))
    assert one(customer).uid != one(decode(body)).uid


def test_the_customer_of_the_token_overrides_what_the_sender_says() -> None:
    body = request(attributes=strings(forewarn__label__customer="liar", forewarn__label__kind="x"))
    event = one(decode(body, extra=(("customer", "acme"),)))
    assert event.labels == (("customer", "acme"), ("kind", "x"))
    assert event.attributes == {}


def test_resource_attributes_are_labels_or_details() -> None:
    resource = {
        "service.name": "shop",
        "service.namespace": "web",
        "service.instance.id": "host:1",
        "host.name": "host",
    }
    event = one(decode(request(resource)))
    # Prometheus' translation: job = namespace/name.
    assert event.labels == (("instance", "host:1"), ("job", "web/shop"))
    assert event.attributes == {"service.namespace": "web", "host.name": "host"}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"eventName": "oom"}, "oom"),
        ({"attributes": strings(event__name="old")}, "old"),
        ({"eventName": "new", "attributes": strings(event__name="old")}, "new"),
        ({}, "log"),
    ],
)
def test_the_type_is_the_events_name(fields: dict[str, Any], wanted: str) -> None:
    assert one(decode(request(**fields))).type == wanted


@pytest.mark.parametrize(
    ("number", "words", "wanted"),
    [
        (1, "", Severity.TRACE),
        (12, "ERROR", Severity.INFO),
        (17, "", Severity.ERROR),
        (24, "", Severity.FATAL),
        (99, "", Severity.INFO),
        (0, "Warning", Severity.WARN),
        (0, "whatever", Severity.INFO),
        (0, "", Severity.INFO),
    ],
)
def test_severity_is_the_numbers_range_and_without_one_the_word(
    number: int, words: str, wanted: Severity
) -> None:
    message = ExportLogsServiceRequest.FromString(request(severityText=words))
    message.resource_logs[0].scope_logs[0].log_records[0].severity_number = number
    assert one(decode(message.SerializeToString())).severity is wanted


def test_the_time_is_the_events_own_else_when_it_was_observed() -> None:
    observed = {"timeUnixNano": "0", "observedTimeUnixNano": "1999999"}
    assert one(decode(request(**observed))).time == 1
    assert refused(decode(request(timeUnixNano="0"))).kind is Kind.BAD_TIME
    # The greatest time there is, in the year 2554.
    assert one(decode(request(timeUnixNano=str(2**64 - 1)))).time == 18_446_744_073_709


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("plain_name", "plain_name"),
        ("http.status-code", "http_status_code"),
        ("9lives", "key_9lives"),
        ("__name__", "key___name__"),
        ("größe", "gr__e"),
        ("", "key_"),
    ],
)
def test_label_names_are_made_valid_for_prometheus(name: str, wanted: str) -> None:
    assert label_name(name) == wanted
    body = request(attributes=[{"key": f"forewarn.label.{name}", "value": {"stringValue": "x"}}])
    assert one(decode(body)).labels == ((wanted, "x"),)


def test_texts_over_the_limit_are_cut_with_a_mark_and_not_dropped() -> None:
    limits = Limits(max_event_body=10, max_attribute=5, max_attributes=2)
    body = request(
        body={"stringValue": "é" * 10}, attributes=strings(a="123456", b="12345", c="x", d="y")
    )
    event = one(decode(body, limits=limits))
    assert event.body == "é" * 5 + " [cut]"
    assert event.attributes == {
        "a": "12345 [cut]",
        "b": "12345",
        "forewarn.dropped_attributes": "2",
    }


def test_labels_over_the_limit_refuse_the_record_alone() -> None:
    good, bad = ExportLogsServiceRequest(), ExportLogsServiceRequest()
    good.ParseFromString(request())
    bad.ParseFromString(request(attributes=strings(forewarn__label__x="y" * 5_000)))
    good.MergeFrom(bad)
    decoded = decode(good.SerializeToString())
    assert len(decoded.events) == 1
    assert [item.kind for item in decoded.rejected] == [Kind.LABEL_LIMIT]
    assert "value of label x" in decoded.rejected[0].reason


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"\xff\xff", PROTOBUF, ""),
        (request()[:-1], PROTOBUF, ""),
        (b"", JSON, ""),
        (b"[]", JSON, ""),
        (b'"x"', JSON, ""),
        (b"{", JSON, ""),
        (b"\xff", JSON, ""),
        (b"[" * 100_000, JSON, ""),
        (b'{"resourceLogs": 7}', JSON, ""),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "xyz"}]}]}]}', JSON, ""),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"spanId": 5}]}]}]}', JSON, ""),
        (request(), "text/plain", ""),
        (request(), "", ""),
        (request(), PROTOBUF, "br"),
        (request(), PROTOBUF, "gzip"),
        (gzip.compress(request(), mtime=0)[:-4], PROTOBUF, "gzip"),
        (gzip.compress(request(), mtime=0) + b"rubbish", PROTOBUF, "gzip"),
        (b"", PROTOBUF, "gzip"),
    ],
)
def test_what_is_not_a_logs_request_is_a_wire_error(
    body: bytes, content_type: str, encoding: str
) -> None:
    with pytest.raises(WireError):
        decode(body, content_type, encoding)


def test_a_gzip_bomb_is_refused() -> None:
    limits = Limits(max_decoded=1_000_000)
    with pytest.raises(TooLargeError):
        decode(gzip.compress(bytes(1_000_001)), PROTOBUF, "gzip", limits=limits)
    half = gzip.compress(bytes(600_000))
    with pytest.raises(TooLargeError):
        decode(half + half, PROTOBUF, "gzip", limits=limits)
    with pytest.raises(TooLargeError):
        decode(bytes(101), limits=Limits(max_body=100))


def test_the_answer_names_what_was_refused_in_the_encoding_of_the_question() -> None:
    item = Rejected(Kind.BAD_TIME, "{}", "it has no time")
    answer = ExportLogsServiceResponse.FromString(encode_logs_response(PROTOBUF, [item]))
    assert answer.partial_success.rejected_log_records == 1
    assert "no time" in answer.partial_success.error_message
    assert encode_logs_response(PROTOBUF, []) == b""
    old = ExportLogsServiceResponse.FromString(encode_logs_response(PROTOBUF, [item], 3))
    assert old.partial_success.rejected_log_records == 4
    assert "3 records are older than the events that are kept" in old.partial_success.error_message
    assert json.loads(encode_logs_response(JSON, [])) == {}
    # protobuf's mapping to JSON writes 64-bit integers as strings
    assert json.loads(encode_logs_response(JSON, [item]))["partialSuccess"] == {
        "rejectedLogRecords": "1",
        "errorMessage": "{}: it has no time",
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["resourceLogs", "scopeLogs", "scope_logs", "logRecords", "traceId", "body", "key",
             "stringValue", "attributes", "value", "timeUnixNano", "kvlistValue", "values"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(json_values, st.sampled_from(["", "resourceLogs"]))
def test_any_json_gives_a_result_or_an_error(value: Any, wrap: str) -> None:
    document = {wrap: [{"scopeLogs": [{"logRecords": [value]}]}]} if wrap else value
    with contextlib.suppress(WireError, TooLargeError):
        decode(json.dumps(document).encode(), JSON)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 400), st.sampled_from(["", "gzip"]), st.booleans())
def test_any_bytes_give_a_result_or_an_error(
    piece: bytes, place: int, encoding: str, whole: bool
) -> None:
    right = json_format.ParseDict(EXAMPLE | {}, ExportLogsServiceRequest()).SerializeToString()
    if encoding:
        right = gzip.compress(right, mtime=0)
    body = piece if whole else right[:place] + piece + right[place + 2 :]
    with contextlib.suppress(WireError, TooLargeError):
        decode(body, PROTOBUF, encoding)
