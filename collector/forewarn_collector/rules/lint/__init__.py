"""Lints: what is no error in a rule, but most likely not what its author meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from forewarn_collector.rules.lint.comments import disabled, unknown_names
from forewarn_collector.rules.lint.conditions import CONDITIONS
from forewarn_collector.rules.lint.duplicates import DUPLICATES
from forewarn_collector.rules.lint.grouping import GROUPING
from forewarn_collector.rules.lint.joins import REPEATED, UNMATCHED
from forewarn_collector.rules.lint.matching import SELECTORS
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.rules.lint.noise import NOISE
from forewarn_collector.rules.lint.regexes import REGEXES
from forewarn_collector.rules.lint.signals import Signals
from forewarn_collector.rules.lint.templates import LABELS, VALUES
from forewarn_collector.rules.lint.trial import TRIAL
from forewarn_collector.rules.load import LoadedFile

__all__ = [
    "COMMENTS",
    "LINTS",
    "NAMES",
    "Lint",
    "Remark",
    "Signals",
    "Subject",
    "remarks",
    "unknown_names",
]

LINTS: tuple[Lint, ...] = (
    NOISE,
    CONDITIONS,
    LABELS,
    VALUES,
    TRIAL,
    GROUPING,
    REPEATED,
    UNMATCHED,
    SELECTORS,
    REGEXES,
    DUPLICATES,
)
COMMENTS = "unknown-lint"
"""The name under which a comment is reported that turns off what is not there."""
NAMES = frozenset({COMMENTS, *(lint.name for lint in LINTS)})


def remarks(
    files: Sequence[LoadedFile], without: Collection[str] = (), signals: Signals | None = None
) -> Iterator[tuple[Lint, Subject, Remark]]:
    """What all lints but some remark on the rules of files, rule by rule."""
    subjects = [[Subject.of(each.rule, each.reader) for each in file.written] for file in files]
    ruleset = Ruleset([subject for some in subjects for subject in some], signals)
    for file, some in zip(files, subjects, strict=True):
        off = disabled(file)
        for subject, also in zip(some, off.by_rule, strict=True):
            for lint in LINTS:
                if lint.name not in off.everywhere | also | frozenset(without):
                    for remark in lint.find(subject, ruleset):
                        yield lint, subject, remark
