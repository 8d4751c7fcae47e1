"""Prometheus' own evaluations, replayed on our engine."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.promql import EvalError, PromQLError, Result, ValueType, compile_query
from forewarn_wire import STALE_NAN
from support.memory_series import MemorySeries

CASES = Path(__file__).parents[4] / "shared" / "data" / "promqltest" / "cases.jsonl"

NOT_OURS = {
    "native-histograms",
    "custom-bucket-histograms",
    "duration-expr",
    "extended-range-selectors",
    "type-and-unit-labels",
    "start-timestamps",
}
"""What a case may need that the engine does not claim to do."""


def _records() -> list[dict[str, Any]]:
    if not CASES.exists():
        return []
    with CASES.open() as lines:
        return [json.loads(line) for line in lines]


def _number(text: str) -> float:
    return STALE_NAN if text == "stale" else float(text)


def _load(source: MemorySeries, record: dict[str, Any]) -> None:
    for series in record["series"]:
        if series["samples"]:
            source.add(
                series["metric"], [(time, _number(value)) for time, value in series["samples"]]
            )


def _equal(got: float, wanted: float, tolerance: float = 1e-6) -> bool:
    """Equality as promqltest has it."""
    if got == wanted or (math.isnan(got) and math.isnan(wanted)):
        return True
    scale, difference = abs(got) + abs(wanted), abs(got - wanted)
    if got == 0 or wanted == 0 or scale < sys.float_info.min:
        return difference < tolerance * sys.float_info.min
    return difference / min(scale, sys.float_info.max) < tolerance


def _key(metric: dict[str, str]) -> str:
    return json.dumps(metric, sort_keys=True)


def _answer(source: MemorySeries, case: dict[str, Any]) -> Result:
    query = compile_query(case["expr"])
    if case["kind"] == "instant":
        return query.instant(source, case["time_ms"])
    return query.range(source, case["start_ms"], case["end_ms"], case["step_ms"])


def _complaint(source: MemorySeries, case: dict[str, Any]) -> str | None:
    """What is wrong with our answer; None if nothing is."""
    wanted = case["expect"]
    try:
        result = _answer(source, case)
    except (PromQLError, EvalError) as error:
        if wanted["type"] != "fail":
            return f"error: {error}"
        fail = wanted["fail"]
        if "msg" in fail and fail["msg"].strip('"') not in str(error):
            return f"message: {error}"
        if "regex" in fail and not re.search(fail["regex"].strip('"'), str(error)):
            return f"message: {error}"
        return None
    if wanted["type"] == "fail":
        return "no error"
    if result.kind != wanted["type"]:
        return f"type {result.kind}"
    said = _annotation_complaint(result, case["annotations"])
    if said is not None:
        return said
    if result.kind is ValueType.STRING:
        return None if result.text == wanted["value"] else f"text {result.text!r}"
    if result.kind is ValueType.SCALAR:
        value = float(result.values[0, 0])
        return None if _equal(value, float(wanted["value"])) else f"value {value}"
    return _series_complaint(result, wanted)


def _annotation_complaint(result: Result, wanted: dict[str, Any]) -> str | None:
    """A test may name an annotation, want any at all, or want none."""
    for kind, texts in (("warn", result.warnings), ("info", result.infos)):
        if wanted[f"no_{kind}"] and texts:
            return f"unwanted {kind}: {texts}"
        for expected in wanted[kind]:
            pattern = expected.get("regex") or re.escape(expected.get("msg", "")) or ".+"
            if not any(re.fullmatch(pattern, text) for text in texts):
                return f"{kind} {texts}, wanted {expected}"
    return None


def _series_complaint(result: Result, wanted: dict[str, Any]) -> str | None:
    rows = result.rows().tolist()
    got = [_key(dict(result.labels[row])) for row in rows]
    keys = [_key(series["metric"]) for series in wanted["series"]]
    if len(set(got)) != len(got):
        return "the same series twice"
    if sorted(got) != sorted(keys):
        return f"series {sorted(got)}, wanted {sorted(keys)}"
    if wanted.get("ordered") and got != keys:
        return f"order {got}, wanted {keys}"
    for series in wanted["series"]:
        row = rows[got.index(_key(series["metric"]))]
        steps = result.present[row].nonzero()[0]
        values = result.values[row, steps].tolist()
        points = dict(zip(result.times[steps].tolist(), values, strict=True))
        if wanted["type"] == "vector":
            expected = {int(result.times[0]): float(series["value"])}
        else:
            expected = {time: float(value) for time, value in series["values"]}
        if points.keys() != expected.keys():
            return f"times {sorted(points)}, wanted {sorted(expected)}"
        for time, value in expected.items():
            if not _equal(points[time], value):
                return f"{series['metric']} at {time}: {points[time]}, wanted {value}"
    return None


@pytest.mark.skipif(not CASES.exists(), reason="../shared/data/promqltest is not here")
def test_every_evaluation_of_prometheus_own_suite_that_we_claim_agrees() -> None:
    segments: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for record in _records():
        if record["type"] != "skip":
            segments[record["file"], record["segment"]].append(record)
    asked = 0
    failures: dict[str, str] = {}
    for records in segments.values():
        source = MemorySeries()
        for record in records:
            if record["type"] == "load":
                _load(source, record)
            elif not NOT_OURS & set(record["needs"]):
                asked += 1
                complaint = _complaint(source, record)
                if complaint is not None:
                    failures[record["id"]] = f"{record['expr']}: {complaint}"
    assert not failures, "\n".join(f"{case}: {why}" for case, why in failures.items())
    assert asked == 727
