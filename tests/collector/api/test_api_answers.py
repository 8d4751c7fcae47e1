"""Answers as Prometheus spells them, piece by piece."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.api.answers import (
    BLOCK_CELLS,
    enveloped_pieces,
    float_text,
    float_texts,
    json_bytes,
    list_pieces,
    result_pieces,
    time_text,
)
from forewarn_collector.api.formats import exponent_float
from forewarn_collector.promql import Result, ValueType


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # util/jsonutil/marshal.go: 'f' but 'e' below 1e-6 and from 1e21 on, as in JavaScript.
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1.5e-5, "0.000015"),
        (9e-7, "9e-07"),
        (-1.25e-10, "-1.25e-10"),
        (5e-324, "5e-324"),
        (1e15, "1000000000000000"),
        (1.5e16, "15000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_value_is_spelled_as_prometheus_does(value: float, text: str) -> None:
    assert float_text(value) == text
    assert float_texts(np.array([value, 2.0])) == [text.encode(), b"2"]


@given(st.lists(st.floats(allow_nan=False)))
def test_values_read_back_the_same_and_have_one_spelling(values: list[float]) -> None:
    texts = float_texts(np.array(values, dtype=np.float64))
    assert texts == [float_text(value).encode() for value in values]
    assert [float(text) for text in texts] == values


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (1435781430781, "1435781430.781"),
        (1435781430100, "1435781430.100"),
        (1435781430000, "1435781430"),
        (1001, "1.001"),
        (-1500, "-1.500"),
        (-1, "-0.001"),
        (0, "0"),
    ],
)
def test_a_time_has_three_decimals_or_none(milliseconds: int, text: str) -> None:
    assert time_text(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1e+00"), (0.5, "5e-01"), (-1234.5, "-1.2345e+03"), (0.0, "0e+00"), (math.inf, "+Inf")],
)
def test_an_alerts_value_has_an_exponent_as_gos_format_e(value: float, text: str) -> None:
    assert exponent_float(value) == text


def answered(result: Result, *, instant: bool) -> str:
    pieces = result_pieces(result, result.rows(), instant=instant)
    return b"".join(enveloped_pieces(pieces, result.warnings, result.infos)).decode()


UP = (
    (("__name__", "up"), ("instance", "localhost:9090"), ("job", "prometheus")),
    (("__name__", "up"), ("instance", "localhost:9091"), ("job", "node")),
)


def test_a_matrix_is_written_as_in_prometheus_documentation() -> None:
    # The example of https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries.
    result = Result(
        ValueType.MATRIX,
        UP,
        np.array([1435781430781, 1435781445781, 1435781460781]),
        np.array([[1.0, 1, 1], [0, 0, 1]]),
        np.array([[True, True, True], [True, True, True]]),
    )
    assert answered(result, instant=False) == (
        '{"status":"success","data":{"resultType":"matrix","result":['
        '{"metric":{"__name__":"up","instance":"localhost:9090","job":"prometheus"},'
        '"values":[[1435781430.781,"1"],[1435781445.781,"1"],[1435781460.781,"1"]]},'
        '{"metric":{"__name__":"up","instance":"localhost:9091","job":"node"},'
        '"values":[[1435781430.781,"0"],[1435781445.781,"0"],[1435781460.781,"1"]]}]}}'
    )


def test_steps_without_a_value_and_series_without_any_are_left_out() -> None:
    result = Result(
        ValueType.MATRIX,
        (*UP, ()),
        np.array([0, 1000, 2000]),
        np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
        np.array([[False, True, False], [False, False, False], [True, False, True]]),
    )
    assert json.loads(answered(result, instant=False))["data"]["result"] == [
        {"metric": {}, "values": [[0, "7"], [2, "9"]]},
        {"metric": dict(UP[0]), "values": [[1, "2"]]},
    ]


def test_a_vector_is_written_as_in_prometheus_documentation() -> None:
    result = Result(
        ValueType.VECTOR,
        UP,
        np.array([1435781451781]),
        np.array([[1.0], [0.0]]),
        np.array([[True], [True]]),
        order=np.array([1, 0]),
    )
    assert answered(result, instant=True) == (
        '{"status":"success","data":{"resultType":"vector","result":['
        '{"metric":{"__name__":"up","instance":"localhost:9091","job":"node"},'
        '"value":[1435781451.781,"0"]},'
        '{"metric":{"__name__":"up","instance":"localhost:9090","job":"prometheus"},'
        '"value":[1435781451.781,"1"]}]}}'
    )


@pytest.mark.parametrize("kind", [ValueType.VECTOR, ValueType.MATRIX])
def test_an_empty_result_is_an_empty_list(kind: ValueType) -> None:
    nothing = np.zeros((0, 1))
    result = Result(kind, (), np.array([0]), nothing, nothing.astype(np.bool_))
    body = json.loads(answered(result, instant=kind is ValueType.VECTOR))
    assert body["data"] == {"resultType": kind.value, "result": []}


def test_annotations_stand_beside_the_data() -> None:
    nothing = np.zeros((0, 1))
    times = np.array([0])
    result = Result(ValueType.VECTOR, (), times, nothing, nothing > 0, ("doubt",), ("hint",))
    body = json.loads(answered(result, instant=True))
    assert (body["warnings"], body["infos"]) == (["doubt"], ["hint"])


def test_a_large_answer_comes_in_pieces_that_make_up_one_document() -> None:
    series, steps = 700, 100
    values = np.arange(series * steps, dtype=np.float64).reshape(series, steps)
    present = values % 7 != 0
    labels = tuple((("n", f"{row:03}"),) for row in range(series))
    result = Result(ValueType.MATRIX, labels, np.arange(steps) * 1000, values, present)
    pieces = list(result_pieces(result, result.rows(), instant=False))
    assert len(pieces) > series * steps // BLOCK_CELLS
    body = json.loads(b"".join(pieces))
    assert [int(item["metric"]["n"]) for item in body["result"]] == list(range(series))
    assert body["result"][699]["values"] == [
        [step, str(69900 + step)] for step in range(100) if (69900 + step) % 7
    ]
    result = Result(ValueType.VECTOR, labels, np.array([0]), values[:, :1], present[:, :1])
    body = json.loads(b"".join(result_pieces(result, result.rows(), instant=True)))
    assert len(body["result"]) == 600


def test_a_list_of_many_items_is_one_list() -> None:
    items = list(range(2_500))
    assert json.loads(b"".join(list_pieces(items))) == items
    assert b"".join(list_pieces([])) == b"[]"


def test_a_label_that_is_no_unicode_spoils_no_answer() -> None:
    assert json.loads(json_bytes({"a": "x\udcffy", "b": "ü"})) == {"a": "x?y", "b": "ü"}
