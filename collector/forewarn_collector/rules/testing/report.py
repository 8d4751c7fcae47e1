"""Results as text for a terminal, in the words that promtool's users know, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from forewarn_collector.promql import plain_float, series_text
from forewarn_collector.rules.model import RecordingRule, Rule
from forewarn_collector.rules.testing.files import FileResult, NamedResult, never_active
from forewarn_collector.rules.testing.run import CaseResult
from forewarn_collector.store import Matcher, MatchOp
from forewarn_wire import is_stale
from forewarn_wire.durations import format_duration
from forewarn_wire.labels import METRIC_NAME

_EVERYTHING = [Matcher(METRIC_NAME, MatchOp.REGEX, ".+")]


def case_failures(path: Path, result: CaseResult) -> list[str]:
    """What is wrong with a case: how it is written, or what did not come out as expected."""
    if result.case.problems:
        return [f"    {problem}" for problem in result.case.problems]
    return [
        f"{failure.text}\n        at {path}:{failure.place[0]}:{failure.place[1]}"
        for failure in result.failures
    ]


def file_failures(result: FileResult) -> list[str]:
    """All that is wrong with a test file, in its order."""
    found = [f"    {problem}" for problem in result.problems]
    for each in result.cases:
        found += case_failures(result.path, each.result)
    return found


def coverage_lines(results: Sequence[FileResult], *, every: bool) -> Iterator[str]:
    """How many rules the tests make fire or record; `every` names those that they do not."""
    rules = {(rule.file, rule.key) for result in results for rule in result.rules}
    if not rules:
        return
    idle = never_active(results)
    share = len(rules) - len(idle)
    more = "" if every or not idle else "; --coverage names the others"
    yield f"Coverage: {share} of {len(rules)} rules fire or record in a test{more}"
    if every:
        for rule in idle:
            kind = "records nothing" if isinstance(rule, RecordingRule) else "never fires"
            yield f"  {rule.file}:{rule.line}: {_title(rule)} {kind}"


def debug_lines(each: NamedResult) -> Iterator[str]:
    """All samples that a case had in the end, those of its rules among them."""
    case = each.result.case
    yield f"DEBUG: Test {each.name} finished, took {each.seconds:.3f}s"
    yield (
        "DEBUG: Dump of all data (input_series and rules) at"
        f" {format_duration(case.until)}, times from the start:"
    )
    found = each.result.store.select(_EVERYTHING, case.start, case.start + case.until)
    for row, labels in enumerate(found.labels):
        samples = slice(found.offsets[row], found.offsets[row + 1])
        yield f"{series_text(labels)} =>"
        for time, value in zip(
            found.times[samples].tolist(), found.values[samples].tolist(), strict=True
        ):
            text = "stale" if is_stale(value) else plain_float(value)
            yield f"  {text} @ {format_duration(time - case.start)}"


def _title(rule: Rule) -> str:
    return f"{rule.group}/{rule.name}"
