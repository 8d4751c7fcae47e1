"""Names of OTLP metrics: the cases of prometheus/otlptranslator's own tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.ingest.otlp_names import Kind, label_name, metric_name, unit_name
from forewarn_wire import is_label_name, is_metric_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("requests", "", Kind.COUNTER, "requests_total"),
        ("requests_total", "", Kind.COUNTER, "requests_total"),
        ("items", "1", Kind.COUNTER, "items_total"),
        ("http.requests", "1", Kind.COUNTER, "http_requests_total"),
        ("cpu_usage", "1", Kind.GAUGE, "cpu_usage_ratio"),
        ("cpu_usage_ratio", "1", Kind.GAUGE, "cpu_usage_ratio"),
        ("active_connections", "", Kind.UP_DOWN_COUNTER, "active_connections"),
        ("queue.length", "1", Kind.UP_DOWN_COUNTER, "queue_length"),
        ("response_time", "ms", Kind.GAUGE, "response_time_milliseconds"),
        ("response_time_seconds", "s", Kind.GAUGE, "response_time_seconds"),
        ("http.request.duration", "ms", Kind.HISTOGRAM, "http_request_duration_milliseconds"),
        ("response_time", "ms", Kind.SUMMARY, "response_time_milliseconds"),
        ("memory_usage", "By", Kind.GAUGE, "memory_usage_bytes"),
        ("capacity", "TiBy", Kind.GAUGE, "capacity_tibibytes"),
        ("temperature", "Cel", Kind.GAUGE, "temperature_celsius"),
        ("cpu_usage", "%", Kind.GAUGE, "cpu_usage_percent"),
        ("requests", "1/s", Kind.GAUGE, "requests_per_second"),
        ("throughput", "By/s", Kind.GAUGE, "throughput_bytes_per_second"),
        ("requests", "1/m", Kind.GAUGE, "requests_per_minute"),
        ("invoices", "1/mo", Kind.GAUGE, "invoices_per_month"),
        ("custom", "1/custom_unit", Kind.GAUGE, "custom_per_custom_unit"),
        ("custom_metric", "custom_unit", Kind.GAUGE, "custom_metric_custom_unit"),
        ("custom_metric", "{custom}", Kind.GAUGE, "custom_metric"),
        ("custom_metric", "By/{custom}", Kind.GAUGE, "custom_metric_bytes"),
        (
            "custom_metric",
            "unit@with#special/chars",
            Kind.GAUGE,
            "custom_metric_unit_with_special_per_chars",
        ),
        (
            "metric__with__multiple__underscores",
            "unit__multiple__underscores",
            Kind.GAUGE,
            "metric_with_multiple_underscores_unit_multiple_underscores",
        ),
        ("metric", " By / s ", Kind.GAUGE, "metric_bytes_per_second"),
        ("metric", "By/", Kind.GAUGE, "metric_bytes"),
        ("metric", "/", Kind.GAUGE, "metric"),
        ("123metric", "", Kind.GAUGE, "_123metric"),
        ("@#$%", "", Kind.GAUGE, ""),
    ],
)
def test_names_are_those_of_prometheus(name: str, unit: str, kind: Kind, expected: str) -> None:
    assert metric_name(name, unit, kind) == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("By", "bytes"),
        ("By/s", "bytes_per_second"),
        ("1/s", "per_second"),
        ("1", ""),
        ("{request}", ""),
        (" By / s ", "bytes_per_second"),
    ],
)
def test_units_are_words(unit: str, expected: str) -> None:
    assert unit_name(unit) == expected


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("label:with:colons", "label_with_colons"),
        ("LabelWithCapitalLetters", "LabelWithCapitalLetters"),
        ("label!with&special$chars)", "label_with_special_chars_"),
        ("label_with_foreign_characters_字符", "label_with_foreign_characters___"),
        ("label.with.dots", "label_with_dots"),
        ("123label", "key_123label"),
        ("_label_starting_with_underscore", "key_label_starting_with_underscore"),
        ("__label_starting_with_2underscores", "__label_starting_with_2underscores"),
        ("ようこそ", ""),
        ("__", ""),
        ("", ""),
    ],
)
def test_labels_are_those_of_prometheus(attribute: str, expected: str) -> None:
    assert label_name(attribute) == expected


@given(st.text(), st.text(), st.sampled_from(list(Kind)))
def test_any_name_becomes_one_that_needs_no_quotes_or_none(
    name: str, unit: str, kind: Kind
) -> None:
    found = metric_name(name, unit, kind)
    assert not found or is_metric_name(found)
    label = label_name(name)
    assert not label or is_label_name(label)
