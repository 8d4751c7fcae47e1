"""Test files run one after another: their results, and which rules no test makes active."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from forewarn_collector.promql import LOOKBACK
from forewarn_collector.rules.load import RuleFileError, load_rules
from forewarn_collector.rules.model import AlertingRule, Rule
from forewarn_collector.rules.testing.load import load_suite
from forewarn_collector.rules.testing.model import AlertCheck, Case, Place, Suite, TaskCheck
from forewarn_collector.rules.testing.playback import Steps
from forewarn_collector.rules.testing.program import compiled
from forewarn_collector.rules.testing.run import CaseResult, Settings, run_case
from forewarn_collector.rules.testing.tasks import OpenBook
from forewarn_wire import Problem

_AS_IN_2 = (
    "passes only as in Prometheus 2, where a sample that is exactly 5m old still counts;"
    " give its series one value more"
)


@dataclass(frozen=True, slots=True)
class NamedResult:
    """A case's result under the name by which reports know it. `seconds` is what it took."""

    name: str
    result: CaseResult
    seconds: float


@dataclass(slots=True)
class FileResult:
    """What came of a test file.

    `problems` are what is wrong with how it or its rules are written: no case was run then.
    `rules` are those that it loads, and `active` the keys of those that fired or recorded.
    """

    path: Path
    problems: Sequence[Problem] = ()
    warnings: list[str] = field(default_factory=list)
    cases: list[NamedResult] = field(default_factory=list)
    rules: Sequence[Rule] = ()
    active: set[str] = field(default_factory=set)

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.problems and not any(
            each.result.case.problems or each.result.failures for each in self.cases
        )


def run_file(
    path: Path, open_book: OpenBook, *, only: re.Pattern[str] | None = None, diff: bool = False
) -> FileResult:
    """Run the cases of a test file whose name `only` finds something in, all without it."""
    loaded = load_suite(path)
    suite = loaded.suite
    warnings = [f"no file match pattern {pattern}" for pattern in suite.missing]
    chosen = list(_chosen(suite, only))
    if loaded.problems:
        # All at once: those that would spare the other cases, too.
        more = [problem for _, case in chosen for problem in case.problems]
        return FileResult(path, [*loaded.problems, *more], warnings)
    result = FileResult(path, warnings=warnings)
    if not chosen:
        return result
    try:
        rules = load_rules(suite.rule_files, interval=suite.evaluation_interval)
    except RuleFileError as error:
        result.problems = error.problems
        return result
    result.rules = list(rules.rules())
    groups = {group.name for group in rules.groups}
    for name in suite.group_eval_order:
        if name not in groups:
            result.warnings.append(f"group_eval_order: no rule file has a group {name}")
    result.warnings += _without_rule(path, [case for _, case in chosen], result.rules)
    program = compiled(rules, suite.group_eval_order)
    settings = Settings(Steps(suite.evaluation_interval), fuzzy=suite.fuzzy, diff=diff)
    for name, case in chosen:
        began = time.perf_counter()
        found = CaseResult(case) if case.problems else run_case(case, program, settings, open_book)
        if found.failures:
            closed = replace(settings, steps=Steps(suite.evaluation_interval, LOOKBACK + 1))
            again = run_case(case, program, closed, open_book)
            if not again.failures:
                found = again
                result.warnings.append(f"{name}: {_AS_IN_2}")
        result.cases.append(NamedResult(name, found, time.perf_counter() - began))
        result.active |= found.active
    return result


def _chosen(suite: Suite, only: re.Pattern[str] | None) -> Iterator[tuple[str, Case]]:
    for number, case in enumerate(suite.cases):
        if only is None or only.search(case.name):
            yield case.name or f"unnamed#{number}", case


def _without_rule(path: Path, cases: Sequence[Case], rules: Sequence[Rule]) -> list[str]:
    """Tests of alerts that there are not: they pass, whatever the rules do, if none is expected."""
    known = {rule.name for rule in rules if isinstance(rule, AlertingRule)}
    missing: dict[str, Place] = {}
    for case in cases:
        checks: list[AlertCheck | TaskCheck] = [*case.alerts, *case.tasks]
        for check in checks:
            if check.name is not None and check.name not in known and not check.expected:
                missing.setdefault(check.name, check.place)
    return [
        f"{path}:{place[0]}:{place[1]}: no rule file has an alert {name}{_meant(name, known)}"
        for name, place in missing.items()
    ]


def _meant(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def never_active(results: Sequence[FileResult]) -> list[Rule]:
    """The rules that no case of any file makes fire or record, in the order of their files."""
    known = {(rule.file, rule.key): rule for result in results for rule in result.rules}
    active = {
        (rule.file, rule.key)
        for result in results
        for rule in result.rules
        if rule.key in result.active
    }
    return [rule for identity, rule in known.items() if identity not in active]
