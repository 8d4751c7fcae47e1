"""What rules cost: a hundred of them over many hosts, beside Prometheus with the same.

    .venv/bin/python tests/bench/rules.py [--hosts 10000] [--growth] [--ours-only]

An hour of samples is loaded; then, again and again, every host samples once more and all rules are
evaluated. Prometheus runs first, in real time, and its own figures are read; ours runs after it in
this process, on simulated time, with the same samples. Both answer every rule's expression at the
same instant, and what our rules give in the end is compared with queries that keep nothing. Prints
figures; fails only where the answers differ.

A kind is a group of the rule file. What several rules share, ours evaluates once in a round, and
the first of them that asks for it is charged for it.
"""

from __future__ import annotations

import argparse
import cProfile
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, percentile, ratio, table
from bench.rules_fleet import SERIES, TICK, Fleet
from bench.rules_mix import BenchRule, as_yaml, rules
from bench.rules_ours import HOUR, Measured, Ours
from bench.rules_peer import PeerFigures, measure
from forewarn_wire import Labels

HISTORY = HOUR // TICK
"""Ticks that are loaded before the first round."""
TOLERANCE = 1e-9


def main() -> int:
    """Run the benchmark; returns 1 if the answers differ."""
    options = _options()
    mix = rules()
    growth: list[list[str]] = []
    differing = 0
    for hosts in (100, 1_000, 10_000) if options.growth else (options.hosts,):
        print(f"\n{hosts:,} hosts of {SERIES} series, {len(mix)} rules", flush=True)
        with tempfile.TemporaryDirectory(prefix="forewarn-bench-") as folder:
            ours, peer, unlike = _run(Path(folder), hosts, mix, options)
        rows = _rows(mix, ours, peer)
        print(table(["", "rules", "Prometheus ms/rule", "ours ms/rule", "ratio"], rows))
        print(_costs(ours, peer))
        growth.append([f"{hosts:,}", *rows[-1][2:]])
        differing += unlike
    if options.growth:
        print(f"\n{table(['hosts', 'Prometheus ms/rule', 'ours ms/rule', 'ratio'], growth)}")
    return 1 if differing else 0


def _run(
    folder: Path, hosts: int, mix: Sequence[BenchRule], options: argparse.Namespace
) -> tuple[Measured, PeerFigures, int]:
    rule_file = folder / "rules.yml"
    rule_file.write_text(as_yaml(mix))
    begin = time.time_ns() // 1_000_000 // TICK * TICK - HOUR
    peer = PeerFigures()
    if not options.ours_only:
        # Groups that overlap would share two cores, and each would seem to take longer.
        every = options.interval or (120 if hosts > 1_000 else 15)
        fleet = Fleet(hosts, begin)
        peer = measure(folder / "peer", rule_file, mix, fleet, options.peer_rounds, every)
        print(
            f"Prometheus: {peer.ticks:,} ticks, evaluated every {every} s,"
            f" {peer.missed} evaluations missed",
            flush=True,
        )
    fleet = Fleet(hosts, begin)
    ours = Ours(folder / "store", rule_file, fleet)
    try:
        began = time.perf_counter()
        for _ in range(peer.ticks or HISTORY):
            ours.take(fleet.tick())
        stats = ours.store.stats()
        print(
            f"ours: {stats.samples:,} samples loaded in {time.perf_counter() - began:.0f} s,"
            f" {stats.memory_bytes / 1e6:,.0f} MB of columns",
            flush=True,
        )
        differing = _compare(mix, peer, ours) if peer.answers else 0
        profile = cProfile.Profile() if options.profile else None
        measured = ours.rounds(options.rounds, options.warm, profile)
        if profile is not None:
            profile.dump_stats(options.profile)
        drifted = ours.drifted()
        print(
            f"{ours.alerts():,} alerts, {ours.sink.changes:,} changes of alerts;"
            f" {len(drifted)} results are other than afresh\n"
        )
        for text in drifted[:10]:
            print(f"  {text}")
    finally:
        ours.close()
    return measured, peer, differing + len(drifted)


def _compare(mix: Sequence[BenchRule], peer: PeerFigures, ours: Ours) -> int:
    """Show the rules whose answers differ, and how many elements were alike; how many differ."""
    differing = elements = without = 0
    for rule, theirs in zip(mix, peer.answers, strict=True):
        mine = ours.ask(rule.inlined, peer.at)
        elements += len(theirs)
        without += not theirs
        unlike = _difference(theirs, mine)
        if unlike:
            differing += 1
            print(f"  {rule.expr}\n    {unlike}")
    print(
        f"answers compared: {elements:,} elements of {len(mix)} rules ({without} have none),"
        f" {differing} rules differ"
    )
    return differing


def _difference(theirs: Mapping[Labels, float], mine: Mapping[Labels, float]) -> str:
    if theirs.keys() != mine.keys():
        only = sorted(theirs.keys() ^ mine.keys())
        return f"{len(theirs)} elements in Prometheus, {len(mine)} in ours, such as {only[0]}"
    for labels, value in theirs.items():
        other = mine[labels]
        both_nan = math.isnan(value) and math.isnan(other)
        if not both_nan and not math.isclose(value, other, rel_tol=TOLERANCE):
            return f"{value!r} in Prometheus, {other!r} in ours for {labels}"
    return ""


def _rows(mix: Sequence[BenchRule], ours: Measured, peer: PeerFigures) -> list[list[str]]:
    """By kind, and over the mix: there ours is the whole round, with what is no rule's own."""
    rows = []
    for kind, walls in ours.wall.items():
        count = sum(rule.kind == kind for rule in mix)
        theirs = percentile(peer.wall.get(kind, []), 0.5)
        rows.append(_row(kind, count, theirs, percentile(walls, 0.5)))
    mine = percentile(ours.round_wall, 0.5)
    return [*rows, _row("all", len(mix), peer.round_wall, mine)]


def _row(title: str, count: int, theirs: float, mine: float) -> list[str]:
    figures = (number(seconds * 1000 / count, 3) for seconds in (theirs, mine))
    return [title, str(count), *figures, ratio(theirs, mine)]


def _costs(ours: Measured, peer: PeerFigures) -> str:
    mine = [
        percentile(values, 0.5) for values in (ours.round_wall, ours.round_cpu, ours.arrival_cpu)
    ]
    theirs = (peer.round_wall, peer.cpu, peer.arrival_cpu)
    titles = ("a round of all rules, wall s", "the same, CPU s", "a tick's samples taken in, CPU s")
    rows = [
        [title, number(them, 3), number(us, 4), ratio(them, us)]
        for title, them, us in zip(titles, theirs, mine, strict=True)
    ]
    return f"\n{table(['', 'Prometheus', 'ours', 'ratio'], rows)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--growth", action="store_true", help="100, 1,000 and 10,000 hosts")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of ours that are measured")
    parser.add_argument("--warm", type=int, default=3, help="rounds of ours before them")
    parser.add_argument("--peer-rounds", type=int, default=5, help="evaluations by Prometheus")
    parser.add_argument(
        "--interval",
        type=int,
        default=0,
        help="seconds between Prometheus' evaluations; 15, or 120 for more than 1,000 hosts",
    )
    parser.add_argument("--ours-only", action="store_true", help="without Prometheus")
    parser.add_argument("--profile", metavar="FILE", help="where to put what cProfile says of ours")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
