"""Lints say what they have to say of any expression, with a place within the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from differential.expressions import questions
from differential.question import Question
from forewarn_collector.rules.check import check_files


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lint") / "rules.yml"


@settings(max_examples=150, deadline=None)
@given(questions())
def test_lints_take_any_expression(file: Path, question: Question) -> None:
    expr = question.expression(1_700_000_000).replace(" and ", "\nand ").replace(" (", "\n  (")
    # JSON's strings are YAML's, with line breaks as escapes; the block has them as they are.
    quoted = f"    - alert: A\n      expr: {json.dumps(expr)}\n"
    block = "    - alert: A\n      expr: |2\n" + "".join(
        f"        {line}\n" for line in expr.split("\n")
    )
    file.write_text("groups:\n- name: g\n  rules:\n" + quoted + block)
    report = check_files([file])
    lines = file.read_text().split("\n")
    for finding in report.findings:
        span = finding.span
        assert 1 <= span.line <= len(lines)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        if span.end_line and span.end_column:
            assert (span.line, span.column) < (span.end_line, span.end_column)
