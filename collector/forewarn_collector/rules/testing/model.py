"""What a test file says: input series, and what is expected of rules at which time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forewarn_collector.promql import Query
from forewarn_collector.store import Floats, Ints
from forewarn_wire import Labels, Problem

Place = tuple[int, int]
"""Line and column in the test file, both from 1."""

Expected = tuple[Labels, Labels]
"""Labels and annotations of an alert. Unlike labels elsewhere, these may hold empty values."""


@dataclass(frozen=True, slots=True)
class InputSeries:
    """One series: value `values[k]` at the step `steps[k]` of the case's interval."""

    labels: Labels
    steps: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class AlertCheck:
    """`alert_rule_test`: these alerts of that name fire at `at` (ms from the case's start)."""

    at: int
    name: str
    expected: Sequence[Expected]
    place: Place


@dataclass(frozen=True, slots=True)
class ExprCheck:
    """`promql_expr_test`: an expression gives these samples at `at` (ms from the case's start)."""

    at: int
    query: Query
    expected: Sequence[tuple[Labels, float]]
    place: Place


@dataclass(frozen=True, slots=True)
class ExpectedTask:
    """A task that is open: its title, and what else the test names of it.

    `labels` need not be all that the task has.
    """

    title: str | None
    severity: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TaskCheck:
    """`task_test`: these tasks, of the rule `name` or of any, are open at `at` (ms)."""

    at: int
    name: str | None
    expected: Sequence[ExpectedTask]
    place: Place


@dataclass(frozen=True, slots=True)
class Case:
    """One item of `tests`. Times in ms; `start` is since epoch.

    `problems` are all that is wrong with how it is written; it can't be run then.
    """

    name: str
    interval: int
    start: int
    series: Sequence[InputSeries]
    alerts: Sequence[AlertCheck]
    exprs: Sequence[ExprCheck]
    tasks: Sequence[TaskCheck]
    external_labels: Mapping[str, str]
    external_url: str
    place: Place
    problems: list[Problem] = field(default_factory=list)

    @property
    def until(self) -> int:
        """The latest time (ms from the start) that anything is expected at."""
        times = [check.at for check in self.alerts]
        times += [check.at for check in self.exprs]
        times += [check.at for check in self.tasks]
        return max(times, default=0)


@dataclass(frozen=True, slots=True)
class Suite:
    """A test file. `evaluation_interval` in ms; `fuzzy` lets neighbouring floats be the same.

    `missing` are the patterns of `rule_files` that no file matches.
    """

    file: Path
    rule_files: Sequence[Path] = ()
    missing: Sequence[str] = ()
    evaluation_interval: int = 60_000
    group_eval_order: Sequence[str] = ()
    fuzzy: bool = False
    cases: Sequence[Case] = field(default=())
