"""A collector under load is killed again and again: nothing acknowledged is lost or doubled.

Settings of the environment: `FOREWARN_CRASH` is how often to kill (else 200), `FOREWARN_CRASH_SEED`
repeats where a run aimed. What a kill hits is a matter of time, so the test counts it.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crash.comparing import Report, before_start, compare, counted_events, task_faults
from crash.lives import PENDING, RETENTION, Death, Lives, lives
from crash.load import DeskServer, Load, now
from crash.phases import NAMES, ONCE, Aim, Point
from support.databases import DATABASES

WANTED = int(os.environ.get("FOREWARN_CRASH", "200"))
SEED = int(os.environ.get("FOREWARN_CRASH_SEED", "5"))
LONGEST_LIFE = 0.35
DAY = 86_400_000
THINNING = 4 * DAY
BUCKET = 300_000
FRESH = ((0, 0), (0, 0))
LATE = (49 * 3_600_000, 0)
"""Of a day that is over, so that days are merged."""
KINDS = {
    # What is too old soon.
    "retention": (RETENTION, (RETENTION - 5_000, 0), "thinning"),
    # One sample at the end of each bucket: it is the same once it is thinned.
    "thinning": (THINNING, (30 * DAY, BUCKET), "retention: chunks"),
}
"""From which age (ms) samples are thinned, who is further behind, and what does not come to pass:
what is old enough to be dropped would be thinned before."""
LEAST = min(WANTED // 100, 10)
"""Kills that must have hit each phase."""


@dataclass
class Kills:
    """How many there were, and how many hit each phase: several phases go on at a time."""

    count: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    deaths: list[Death] = field(default_factory=list)

    def longest_wait(self, report: Report) -> int:
        """How long (ms) a collector lived with an alert that was due and did not fire."""
        return max(
            (
                min(fired, death.ended) - max(report.active_at[name] + PENDING, death.listening)
                for name, fired in report.fired_at.items()
                for death in self.deaths
                if death.listening is not None
            ),
            default=0,
        )

    def table(self, report: Report, tasks: int) -> str:
        """What is to be seen in the test's output."""
        return "\n".join(
            [
                f"{self.count} kills (seed {SEED}), {report.looks} starts compared",
                *(f"  {name:28} {self.hits[name]:5}" for name in (*NAMES, "none of these")),
                f"  {report.carried} times an alert was found pending, and went on",
                f"  {tasks} faults had one task each; a collector that lived let one wait for at"
                f" most {self.longest_wait(report)} ms after its `for`",
                f"  lost, doubled or changed: {len(report.wrong)}",
            ]
        )


def aimed(dice: random.Random, hits: Counter[str], phases: Sequence[str]) -> Aim:
    """Where the next kill aims: at what was hit least, or at any phase, or at any time."""
    after = dice.uniform(0.1, LONGEST_LIFE)
    kind = dice.random()
    if kind < 0.25:
        return Aim("start", 0, Point.WITHIN, 0, after)
    phase = dice.choice(phases) if kind < 0.5 else min(phases, key=lambda name: hits[name])
    nth = 1 if phase in ONCE else dice.randint(1, 4)
    point = dice.choice((Point.ENTRY, Point.WITHIN, Point.WITHIN, Point.EXIT))
    return Aim(phase, nth, point, dice.random(), after + 0.5)


def kill_again_and_again(
    report: Report,
    kills: Kills,
    collectors: Lives,
    load: Load,
    phases: Sequence[str],
    wanted: int,
    least: int,
) -> None:
    """Start and kill collectors until there were enough kills, of each phase too."""
    dice = random.Random(SEED)
    while kills.count < wanted or (
        # What is seldom done takes some more, at times.
        kills.count < 2 * wanted and min(kills.hits[name] for name in phases) < least
    ):
        known = before_start(load.senders)
        collectors.begin(aimed(dice, kills.hits, phases))
        death = collectors.end()
        assert isinstance(death, Death), death
        assert death.status == -signal.SIGKILL, collectors.log[-3000:]
        kills.count += 1
        kills.deaths.append(death)
        kills.hits.update(death.phases or ["none of these"])
        found = collectors.found()
        if found is not None:
            compare(report, found, known, now())
        assert not report.wrong, f"after kill {kills.count}: {report.wrong[:5]}"


def outlive(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    phases: Sequence[str],
    wanted: int,
    least: int,
) -> None:
    """Kill collectors under load, then look at all that there is."""
    report, kills = Report(), Kills()
    thinning, old, _ = KINDS[kind]
    with DeskServer() as desk, lives(folder, desk.url, thinning=thinning) as collectors:
        with Load(collectors, desk, (*FRESH, LATE, old), lanes=3, seed=SEED) as load:
            kill_again_and_again(report, kills, collectors, load, phases, wanted, least)
            # This one lives until all faults have come to their end.
            collectors.begin(look=False)
            collectors.listening()
            load.finish(60)
        collectors.stop()
        known = before_start(load.senders)
        collectors.begin()
        collectors.listening()
        collectors.stop()
        found = collectors.found()
        assert found is not None
        compare(report, found, known, now())
        report.wrong += task_faults(found, load.over, desk)
        with capsys.disabled():
            print(f"\n{kills.table(report, len(load.over))}")
        assert not report.wrong, report.wrong[:10]
        assert load.over
        assert counted_events(collectors.data) == sum(len(each.events) for each in load.senders)
        assert not [name for name in phases if kills.hits[name] < least]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_acknowledged_outlives_hundreds_of_kills_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    phases = [name for name in NAMES if name != KINDS[kind][2]]
    outlive(tmp_path, capsys, kind, phases, WANTED // len(KINDS), LEAST)


@pytest.mark.usefixtures("_databases")
def test_tasks_in_postgresql_outlive_kills_of_their_collector_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Signals are where they always are; what differs is at the start and where tasks are written.
    with DATABASES.on("postgresql"):
        outlive(tmp_path, capsys, "retention", ("start", "ledger write"), WANTED // 10, 1)
