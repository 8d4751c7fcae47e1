"""Findings for machines: JSON, and the workflow commands by which GitHub marks lines.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from forewarn_collector.rules.check import Finding


def findings_json(findings: Sequence[Finding]) -> str:
    """A list of objects; places count from 1, and are null where they are the whole file."""
    return json.dumps([_object(each) for each in findings], indent=2, ensure_ascii=False)


def _object(finding: Finding) -> dict[str, str | int | None]:
    span = finding.span
    return {
        "file": finding.file,
        "line": span.line or None,
        "column": span.column or None,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "severity": finding.severity.value,
        "check": finding.check,
        "message": finding.message,
        "remedy": finding.remedy,
    }


def github_command(finding: Finding) -> str:
    """The workflow command of a finding."""
    span = finding.span
    properties: dict[str, str | int] = {"file": finding.file}
    if span.line:
        properties |= {"line": span.line, "col": span.column}
    if span.end_line and span.end_column:
        # GitHub counts the last column in, and takes columns only within one line.
        properties["endLine"] = span.end_line
        if span.end_line == span.line:
            properties["endColumn"] = span.end_column - 1
    properties["title"] = finding.check
    text = f"{finding.message} ({finding.remedy})" if finding.remedy else finding.message
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{finding.severity.value} {written}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
