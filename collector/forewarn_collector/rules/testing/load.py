"""Test files to suites, or to all that is wrong with them, each with its place.

The format is promtool's, https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/,
with `task_test` as the only addition.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.rules.testing.load_case import CaseReader, read_case
from forewarn_collector.rules.testing.model import Suite
from forewarn_wire import Problem
from forewarn_wire.document import Section, read_document
from forewarn_wire.document_errors import not_text
from forewarn_wire.readers import boolean, duration, texts

EVALUATION_INTERVAL = 60_000
"""How often (ms) rules are evaluated in a test file that does not say."""

_RULE_FILE = "this is a rule file: a test file names it in rule_files"
_NONE: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A test file as far as it could be read. `problems` are those that spare no case."""

    suite: Suite
    problems: list[Problem]


def load_suite(path: Path) -> LoadedSuite:
    """Read a test file. Never raises for what it holds."""
    problems: list[Problem] = []
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        problems.append(Problem(str(path), 0, 0, f"can't be read: {error.strerror}"))
        return LoadedSuite(Suite(path), problems)
    except UnicodeDecodeError as error:
        problems.append(not_text(error, str(path)))
        return LoadedSuite(Suite(path), problems)
    document = read_document(source, str(path), problems)
    if document is None:
        return LoadedSuite(Suite(path), problems)
    suite = _read_suite(path, document, source)
    document.refuse_unknown({"groups": _RULE_FILE})
    problems.sort(key=lambda found: (found.line, found.column))
    return LoadedSuite(suite, problems)


def _read_suite(path: Path, document: Section, source: str) -> Suite:
    interval = document.take("evaluation_interval", duration, 0) or EVALUATION_INTERVAL
    order = document.take("group_eval_order", texts, _NONE)
    for name in sorted({name for name in order if order.count(name) > 1}):
        hint = "name every group once"
        document.problem(
            "group_eval_order", f"group name repeated in evaluation order: {name}", hint
        )
    files: list[Path] = []
    missing: list[str] = []
    for pattern in document.take("rule_files", texts, _NONE):
        found = sorted(glob.glob(os.path.join(path.parent, pattern)))
        files += map(Path, found)
        missing += [] if found else [pattern]
    readers = [CaseReader(section, source) for section in document.sections("tests")]
    return Suite(
        file=path,
        rule_files=files,
        missing=missing,
        evaluation_interval=interval,
        group_eval_order=order,
        fuzzy=document.take("fuzzy_compare", boolean, False),
        cases=[read_case(reader, interval) for reader in readers],
    )
