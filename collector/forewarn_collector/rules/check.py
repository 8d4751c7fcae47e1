"""What `forewarn rules check` reports: all that is wrong with rule files, and what lints remark."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from forewarn_collector.rules.fields import NameScheme, Span
from forewarn_collector.rules.lint import COMMENTS, NAMES, Signals, remarks, unknown_names
from forewarn_collector.rules.load import LoadedFile, read_rule_files
from forewarn_wire import Problem

ERROR_CHECK = "rule-file"
"""The name of the check that a file with errors fails."""


class Severity(StrEnum):
    """An error keeps a file from being loaded; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: what it is and how, and where; line 0 means the whole file."""

    file: str
    span: Span
    severity: Severity
    check: str
    message: str
    remedy: str

    def __str__(self) -> str:
        line, column = self.span.line, self.span.column
        place = f"{self.file}:{line}:{column}" if line else self.file
        mark = f"warning: {self.check}: " if self.severity is Severity.WARNING else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}: {mark}{self.message}{remedy}"


@dataclass(frozen=True, slots=True)
class Report:
    """`rules`: how many rules could be read, by file. `findings`: in the order of the files."""

    rules: Mapping[str, int]
    findings: Sequence[Finding]

    @property
    def errors(self) -> list[Finding]:
        """What keeps files from being loaded."""
        return [each for each in self.findings if each.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """What lints remark."""
        return [each for each in self.findings if each.severity is Severity.WARNING]


def check_files(
    paths: Sequence[Path],
    *,
    scheme: NameScheme = NameScheme.UTF8,
    without: Collection[str] = (),
    signals: Signals | None = None,
) -> Report:
    """Check rule files, and all of a folder's but for tests. Never raises for what they hold.

    `without` are lints that are left out; with `signals`, what rules select is looked for there.
    """
    files, problems = read_rule_files(paths, scheme=scheme)
    errors = [_finding(problem, Severity.ERROR, ERROR_CHECK) for problem in problems]
    # What YAML's aliases repeat stands in the file once.
    findings = list(dict.fromkeys([*errors, *_warnings(files, without, signals)]))
    order = {str(file.path): position for position, file in enumerate(files)}
    findings.sort(key=lambda found: (order.get(found.file, -1), found.span.line, found.span.column))
    return Report({str(file.path): len(file.written) for file in files}, findings)


def _warnings(
    files: Sequence[LoadedFile], without: Collection[str], signals: Signals | None
) -> Iterator[Finding]:
    for lint, subject, remark in remarks(files, without, signals):
        yield Finding(
            subject.rule.file,
            subject.span(remark),
            Severity.WARNING,
            lint.name,
            remark.message,
            remark.remedy,
        )
    for file in files if COMMENTS not in without else ():
        for problem in unknown_names(file, NAMES):
            yield _finding(problem, Severity.WARNING, COMMENTS)


def _finding(problem: Problem, severity: Severity, check: str) -> Finding:
    span = Span(problem.line, problem.column)
    return Finding(problem.file, span, severity, check, problem.message, problem.hint)
