"""The collector with a note of every round of rules, for benchmarks.

    python timed_collector.py FILE serve ...

A line of FILE per round: whether a group's interval was over (1) or something arrived (0), how many
rules were evaluated, and the round's seconds and CPU seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from forewarn_collector.__main__ import main
from forewarn_collector.rules.agenda import Agenda, Due
from forewarn_collector.rules.evaluate import Evaluator, Report


def note_rounds(file: Path) -> None:
    """Have every evaluation from now on noted in the file."""
    output = file.open("a", buffering=1)
    plain_due, plain_evaluate = Agenda.due, Evaluator.evaluate
    ticked = False

    def due(self: Agenda, now: int, moment: float) -> Due:
        nonlocal ticked
        ticked = self.until_tick(now) <= 0
        return plain_due(self, now, moment)

    def evaluate(self: Evaluator, due: Due, at: int) -> Report:
        wall, cpu = time.perf_counter(), time.thread_time()
        report = plain_evaluate(self, due, at)
        seconds, busy = time.perf_counter() - wall, time.thread_time() - cpu
        output.write(f"{ticked:d} {len(due.positions)} {seconds:.6f} {busy:.6f}\n")
        return report

    Agenda.due, Evaluator.evaluate = due, evaluate  # type: ignore[method-assign]


if __name__ == "__main__":
    note_rounds(Path(sys.argv.pop(1)))
    main()
