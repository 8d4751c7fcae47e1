"""A test file or one of its cases on simulated time, and what does not come out as expected.

Source: prometheus/prometheus `cmd/promtool/unittest.go`. At each step of `evaluation_interval` the
input up to then is there; then the groups are evaluated one after another, the rules of each in
the order of the file, so that a rule sees what those before it recorded, and `ALERTS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from forewarn_collector.promql import EvalError
from forewarn_collector.rules.alert_series import reads_alerts
from forewarn_collector.rules.testing.compare import (
    Alerts,
    compare_alerts,
    compare_samples,
    compare_tasks,
    expr_head,
)
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_collector.rules.testing.model import AlertCheck, Case, ExprCheck, Place, TaskCheck
from forewarn_collector.rules.testing.playback import Playback, Steps, TaskRunners
from forewarn_collector.rules.testing.program import Program
from forewarn_collector.rules.testing.sweep import sweep
from forewarn_collector.rules.testing.tasks import OpenBook, OpenTask, TaskBook
from forewarn_collector.store import Batch, Floats, Ints
from forewarn_wire import Labels
from forewarn_wire.durations import format_duration

_NO_STEPS: Ints = np.zeros(0, dtype=np.int64)
_NO_VALUES: Floats = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met. `place` is where it stands in the test file."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Settings:
    """How cases are run: `fuzzy` lets neighbouring floats be the same, `diff` shows differences."""

    steps: Steps
    fuzzy: bool = False
    diff: bool = False


@dataclass(slots=True)
class CaseResult:
    """What came of a case. `active` are the keys of rules that fired or recorded something."""

    case: Case
    failures: list[Failure] = field(default_factory=list)
    active: set[str] = field(default_factory=set)
    store: MemoryStore = field(default_factory=MemoryStore)


def run_case(case: Case, program: Program, settings: Settings, open_book: OpenBook) -> CaseResult:
    """Evaluate and compare; once a rule fails the case ends."""
    if case.tasks:
        with open_book(case.external_url, case.external_labels) as book:
            return _Run(case, program, settings, book).play()
    # What all steps at once do not confirm is told as one step after another has it.
    swept = _Run(case, program, settings).sweep()
    return swept or _Run(case, program, settings).play()


class _Run:
    def __init__(
        self, case: Case, program: Program, settings: Settings, book: TaskBook | None = None
    ) -> None:
        self._case = case
        self._program = program
        self._settings = settings
        self._result = CaseResult(case)
        self._feed = Feed(case)
        self._tasks = (
            TaskRunners(program, self._result.store, case, settings.steps, book) if book else None
        )
        queries = [rule.query for rule in program.rules()]
        self._shows_alerts = reads_alerts([*queries, *(check.query for check in case.exprs)])

    def sweep(self) -> CaseResult | None:
        """All steps at once; None where that can't be done, or not all is as expected."""
        if self._shows_alerts:
            return None
        step = self._settings.steps.step
        last = self._case.start + self._case.until // step * step
        swept = sweep(self._program, self._case, self._feed.until(last), self._settings.steps)
        if swept is None:
            return None
        self._result.store, self._result.active = swept.store, swept.active
        for check in self._case.alerts:
            self._compare_alerts(check, swept.firing(check.name, check.at // step))
        self._compare_exprs()
        return None if self._result.failures else self._result

    def play(self) -> CaseResult:
        """One step after another."""
        if self._play():
            self._compare_exprs()
        return self._result

    def _play(self) -> bool:
        """Whether all rules could be evaluated, step by step."""
        case, step = self._case, self._settings.steps.step
        playback = Playback(
            self._program,
            self._result.store,
            case,
            self._settings.steps,
            shows_alerts=self._shows_alerts,
        )
        self._result.active = playback.active
        checks: list[AlertCheck | TaskCheck] = [*case.alerts, *case.tasks]
        waiting = sorted(checks, key=lambda check: check.at)
        for since in range(0, case.until + 1, step):
            at = case.start + since
            self._result.store.append(self._feed.until(at))
            failed = list(playback.evaluate(at, self._tasks))
            for rule, error in failed:
                text = f"    rule: {rule.name}, time: {format_duration(since)}, err: {error}"
                self._fail(text, case.place)
            if failed:
                return False
            while waiting and waiting[0].at < since + step:
                check = waiting.pop(0)
                if isinstance(check, AlertCheck):
                    self._compare_alerts(check, playback.firing(check.name))
                elif self._tasks is not None:
                    self._compare_tasks(check, self._tasks.book.open_tasks())
        return True

    def _compare_alerts(self, check: AlertCheck, got: Alerts) -> None:
        self._fail(compare_alerts(check, got, diff=self._settings.diff), check.place)

    def _compare_tasks(self, check: TaskCheck, tasks: Sequence[OpenTask]) -> None:
        got = [task for task in tasks if check.name in {None, task.rule}]
        self._fail(compare_tasks(check, got, diff=self._settings.diff), check.place)

    def _compare_exprs(self) -> None:
        for check in self._case.exprs:
            self._compare_expr(check)

    def _compare_expr(self, check: ExprCheck) -> None:
        at = self._case.start + check.at
        try:
            result = self._settings.steps.instant(check.query, self._result.store, at)
        except EvalError as error:
            self._fail(f"{expr_head(check)}, err: {error}", check.place)
            return
        got = sorted(result.vector(), key=lambda sample: sample[0])
        self._fail(
            compare_samples(check, got, fuzzy=self._settings.fuzzy, diff=self._settings.diff),
            check.place,
        )

    def _fail(self, text: str | None, place: Place) -> None:
        if text is not None:
            name = f"    name: {self._case.name},\n" if self._case.name else ""
            self._result.failures.append(Failure(name + text, place))


class Feed:
    """The input of a case, handed out as time goes on."""

    def __init__(self, case: Case) -> None:
        # Of a series that is given twice the last one counts, as in promtool.
        series = {each.labels: each for each in case.series}
        self._labels: Sequence[Labels] = list(series)
        counts = [len(each.steps) for each in series.values()]
        rows: Ints = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        steps: Ints = np.concatenate([_NO_STEPS, *(each.steps for each in series.values())])
        values: Floats = np.concatenate([_NO_VALUES, *(each.values for each in series.values())])
        times = case.start + steps * case.interval
        order = np.argsort(times, kind="stable")
        self._rows, self._times, self._values = rows[order], times[order], values[order]
        self._given = 0

    def until(self, at: int) -> Batch:
        """What has come up to `at` (ms) since the last time."""
        first, self._given = self._given, int(np.searchsorted(self._times, at, "right"))
        new = slice(first, self._given)
        return Batch(self._labels, self._rows[new], self._times[new], self._values[new])
