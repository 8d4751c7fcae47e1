"""Which rules have tests, told from the test files without running them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from forewarn_collector.rules.testing.load import load_suite

_TESTS = "*_test.y*ml"


def cases_by_alert(rule_files: Iterable[str]) -> Mapping[tuple[str, str], int]:
    """How many cases expect an alert to fire, by the rule's file and the alert's name.

    Looked at are the test files that stand beside the rule files and name them. What can't be
    read counts for nothing; `forewarn rules test` says why.
    """
    files = {Path(file).resolve(): file for file in rule_files}
    found: Counter[tuple[str, str]] = Counter()
    for folder in sorted({path.parent for path in files}):
        for test in sorted(folder.glob(_TESTS)):
            suite = load_suite(test).suite
            about = [files[path] for each in suite.rule_files if (path := each.resolve()) in files]
            for case in suite.cases:
                names = {check.name for check in case.alerts if check.expected}
                names |= {check.name for check in case.tasks if check.expected and check.name}
                found.update((file, name) for file in about for name in names)
    return found
