"""What rules cost: a hundred of them over many hosts, beside Prometheus with the same.

    .venv/bin/python tests/bench/rules.py [--hosts 10000] [--growth] [--ours-only]

An hour of samples is loaded; then, again and again, every host samples once more and all rules are
evaluated. Ours runs in this process, on simulated time. Prints figures; fails only where the two
systems' answers differ.
"""

from __future__ import annotations

import argparse
import cProfile
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, percentile, table
from bench.rules_fleet import SERIES, TICK, Fleet
from bench.rules_mix import BenchRule, as_yaml, rules
from bench.rules_ours import HOUR, Measured, Ours

HISTORY = HOUR // TICK
"""Ticks that are loaded before the first round."""


def main() -> int:
    """Run the benchmark; returns 1 if the answers differ."""
    options = _options()
    mix = rules()
    for hosts in (100, 1_000, 10_000) if options.growth else (options.hosts,):
        with tempfile.TemporaryDirectory(prefix="forewarn-bench-") as folder:
            _run(Path(folder), hosts, mix, options)
    return 0


def _run(folder: Path, hosts: int, mix: list[BenchRule], options: argparse.Namespace) -> None:
    print(f"\n{hosts:,} hosts of {SERIES} series, {len(mix)} rules", flush=True)
    (folder / "rules.yml").write_text(as_yaml(mix))
    begin = time.time_ns() // 1_000_000 // TICK * TICK - HOUR
    fleet = Fleet(hosts, begin)
    ours = Ours(folder / "store", folder / "rules.yml", fleet)
    try:
        began = time.perf_counter()
        for _ in range(HISTORY):
            ours.take(fleet.tick())
        stats = ours.store.stats()
        print(
            f"loaded {stats.samples:,} samples in {time.perf_counter() - began:.0f} s;"
            f" {stats.memory_bytes / 1e6:,.0f} MB of columns",
            flush=True,
        )
        profile = cProfile.Profile() if options.profile else None
        measured = ours.rounds(options.rounds, options.warm, profile)
        if profile is not None:
            profile.dump_stats(options.profile)
        print(f"{ours.alerts():,} alerts, {ours.sink.changes:,} changes of alerts")
        _report(mix, measured)
    finally:
        ours.close()


def _report(mix: list[BenchRule], ours: Measured) -> None:
    rows = []
    total = [0.0, 0.0]
    for kind, walls in ours.wall.items():
        count = sum(rule.kind == kind for rule in mix)
        wall, cpu = _median(walls), _median(ours.cpu[kind])
        total = [total[0] + wall, total[1] + cpu]
        rows.append([kind, str(count), *(number(s * 1000, 2) for s in (wall, cpu, wall / count))])
    every = len(mix)
    rows.append(["all", str(every), *(number(s * 1000, 2) for s in (*total, total[0] / every))])
    arrival = _median(ours.arrival_wall), _median(ours.arrival_cpu)
    rows.append(["arrival of a tick", "", *(number(s * 1000, 2) for s in arrival), ""])
    print(table(["", "rules", "ms a round", "CPU ms", "ms a rule"], rows))


def _median(values: list[float]) -> float:
    return percentile(values, 0.5)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--growth", action="store_true", help="100, 1,000 and 10,000 hosts")
    parser.add_argument("--rounds", type=int, default=10, help="rounds that are measured")
    parser.add_argument("--warm", type=int, default=3, help="rounds before them")
    parser.add_argument("--ours-only", action="store_true", help="without Prometheus")
    parser.add_argument("--profile", metavar="FILE", help="where to put what cProfile says of ours")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
