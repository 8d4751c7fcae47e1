"""Public rules and dashboards: each expression compiles, and is evaluated on an empty source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from forewarn_collector.promql import PromQLError, ValueType, compile_query
from forewarn_collector.promql.lexer import tokenize
from forewarn_collector.promql.syntax import find_fault
from support.memory_series import MemorySeries

DATA = Path(__file__).parents[4] / "shared" / "data"


def _rule_files(folder: str) -> list[Path]:
    return [
        path
        for pattern in ("*.yml", "*.yaml")
        for path in sorted((DATA / folder).rglob(pattern))
        if "test" not in path.stem
    ]


def _expressions(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if ("alert" in document or "record" in document) and "expr" in document:
            yield str(document["expr"])
        for value in document.values():
            yield from _expressions(value)
    elif isinstance(document, list):
        for value in document:
            yield from _expressions(value)


def _of_rules(folder: str) -> list[str]:
    found: list[str] = []
    for path in _rule_files(folder):
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            found += _expressions(document)
    return found


def _of_dashboard() -> list[str]:
    path = DATA / "dashboards" / "node-exporter-full.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record["filled"] for record in records if "filled" in record]


def _evaluate_on_nothing(expressions: list[str]) -> list[str]:
    """Evaluate instantly and over a range; returns those that are refused."""
    refused: list[str] = []
    for expression in expressions:
        try:
            query = compile_query(expression)
        except PromQLError as error:
            refused.append(f"{expression}: {error}")
            continue
        source = MemorySeries()
        query.instant(source, 1_000_000)
        if query.result_type in (ValueType.VECTOR, ValueType.SCALAR):
            query.range(source, 1_000_000, 1_300_000, 60_000)
    return refused


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_all_public_alerting_rules_compile_and_bear_an_empty_source() -> None:
    expressions = _of_rules("rules/awesome-prometheus-alerts")
    assert len(expressions) > 900
    assert _evaluate_on_nothing(expressions) == []


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_all_rule_collections_with_unit_tests_compile_and_bear_an_empty_source() -> None:
    expressions = _of_rules("ruletests")
    assert len(expressions) > 300
    assert _evaluate_on_nothing(expressions) == []


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_all_expressions_of_the_most_used_host_dashboard_compile_and_bear_an_empty_source() -> None:
    expressions = _of_dashboard()
    assert len(expressions) == 276
    assert _evaluate_on_nothing(expressions) == []


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_no_valid_expression_has_a_fault_of_syntax() -> None:
    # Only what the parser refused is searched for one; a false find would hide the true reason.
    of_rules = [*_of_rules("rules/awesome-prometheus-alerts"), *_of_rules("ruletests")]
    cases = [
        json.loads(line) for line in (DATA / "promqltest" / "cases.jsonl").read_text().splitlines()
    ]
    of_suite = [case["expr"] for case in cases if case["type"] == "eval" and not case["needs"]]
    expressions = {*_of_dashboard(), *of_suite, *of_rules}
    assert len(expressions) > 1_500
    assert [each for each in expressions if find_fault(tokenize(each)) is not None] == []
