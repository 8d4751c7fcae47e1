"""From a fault to its task: Forewarn beside Prometheus with Alertmanager, in one run.

    .venv/bin/python tests/bench/latency.py [--faults 100] [--defaults 40] [--quick]

Half of the faults are processes killed with SIGKILL, half error lines in a log. Every fault is
seen by Forewarn (agent at its default interval of 10 s), by Prometheus at 1 s with `group_wait:
0s` and, as far as `--defaults` reaches, by Prometheus and Alertmanager at their defaults; all
deliver to the same webhook receiver. Prints figures; fails only where a fault was never told.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.faults import Fault, Kind, Victim, in_random_order, victims
from bench.figures import number, ratio, spread, table
from bench.ours import forewarn
from bench.peers import Exporters, node_exporter, prometheus_and_alertmanager, victim_exporter
from bench.receiver import Receiver, receiver
from support.waiting import wait_until

FOREWARN, FAST, DEFAULTS = "forewarn", "prometheus-1s", "prometheus-defaults"
TITLES = {
    FAST: "Prometheus 1 s, group_wait 0 s: webhook",
    DEFAULTS: "Prometheus 1 m, group_wait 30 s: webhook",
}
# A fault can wait a scrape, an evaluation and group_wait; the rest is room for a busy machine.
DRAIN_SECONDS = {FOREWARN: 20.0, FAST: 20.0, DEFAULTS: 60 + 60 + 30 + 30.0}


def main() -> int:
    """Run the benchmark; returns 1 if a system missed a fault."""
    options = _options()
    dice = random.Random(options.seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forewarn-bench-")))
        found = stack.enter_context(victims(folder / "victims", (options.faults + 1) // 2))
        queue = stack.enter_context(receiver())
        _start(stack, folder, found, queue, defaults=options.defaults > 0)
        faults = in_random_order(list(found), options.faults, dice)
        print(f"{len(faults)} faults, one about every {options.spacing} s", flush=True)
        at: dict[Fault, float] = {}
        for done, fault in enumerate(faults, 1):
            time.sleep(dice.uniform(0.5, 1.5) * options.spacing)
            at[fault] = found[fault.victim].suffer(fault.kind)
            if done % 20 == 0:
                print(
                    f"  {done} faults; Forewarn told {queue.count(FOREWARN, set(at))}", flush=True
                )
        wanted = {FOREWARN: set(faults), FAST: set(faults)}
        if options.defaults:
            wanted[DEFAULTS] = set(faults[: options.defaults])
        missed = _drain(queue, wanted)
    _report(queue, at, wanted)
    for system, untold in missed.items():
        for fault in sorted(untold, key=str):
            print(f"MISSED by {system}: {fault}")
    return 1 if missed else 0


def _start(
    stack: ExitStack, folder: Path, found: dict[str, Victim], queue: Receiver, *, defaults: bool
) -> None:
    """Start both systems and wait until each has seen every victim healthy."""
    exporters = Exporters(
        node=stack.enter_context(node_exporter(folder))[1],
        victims=stack.enter_context(victim_exporter(folder, folder / "victims" / "victims.json")),
    )
    peers = [
        prometheus_and_alertmanager(folder, FAST, queue.url(FAST), exporters, every="1s", wait="0s")
    ]
    if defaults:
        peers.append(prometheus_and_alertmanager(folder, DEFAULTS, queue.url(DEFAULTS), exporters))
    started = [stack.enter_context(peer) for peer in peers]
    ours = stack.enter_context(
        forewarn(folder / "forewarn", queue.url(FOREWARN), list(found.values()))
    )
    wait_until("Forewarn sees all victims", partial(ours.watches, len(found)), 30)
    for peer in started:
        print(f"waiting until {peer.name} has scraped all victims", flush=True)
        # At the defaults the first scrape may be a minute away.
        wait_until("Prometheus sees all victims", partial(peer.watches, len(found)), 90, 0.25)


def _drain(queue: Receiver, wanted: dict[str, set[Fault]]) -> dict[str, set[Fault]]:
    """Wait for what is still on its way; returns what never came, by system."""
    began = time.monotonic()
    missed = {}
    for system, faults in wanted.items():
        end = began + DRAIN_SECONDS[system]
        while queue.count(system, faults) < len(faults) and time.monotonic() < end:
            time.sleep(0.1)
        if queue.count(system, faults) < len(faults):
            missed[system] = faults - queue.arrived.get(system, {}).keys()
    return missed


def _report(queue: Receiver, at: dict[Fault, float], wanted: dict[str, set[Fault]]) -> None:
    arrived = {system: queue.arrived.get(system, {}) for system in wanted}
    measured: list[tuple[str, dict[Fault, float]]] = [
        ("Forewarn: task opened", queue.opened),
        ("Forewarn: webhook", arrived[FOREWARN]),
        *((TITLES[system], arrived[system]) for system in wanted if system in TITLES),
    ]
    headings = ["from the fault, ms", "faults", "p50", "p99", "max", "p50 ratio", "p99 ratio"]
    for title, kinds in (
        ("All faults", set(Kind)),
        ("Process killed", {Kind.KILL}),
        ("Error line in a log", {Kind.ERROR}),
    ):
        rows = []
        base = spread([end - at[f] for f, end in arrived[FOREWARN].items() if f.kind in kinds])
        for name, ends in measured:
            among = next((wanted[s] for s, t in TITLES.items() if t == name), set(at))
            taken = [ends[f] - at[f] for f in among if f.kind in kinds and f in ends]
            found = spread(taken)
            rows.append(
                [
                    name,
                    str(found.count),
                    *(number(value) for value in (found.p50, found.p99, found.max)),
                    ratio(found.p50, base.p50),
                    ratio(found.p99, base.p99),
                ]
            )
        print(f"\n{title} (ratios to Forewarn's webhook)\n\n{table(headings, rows)}")
    for system, count in sorted(queue.repeats.items()):
        print(f"\nsent again for a fault told already, by {system}: {count}")
    print(
        "\nForewarn's agent runs at its default interval of 10 s. The peer's process state and log"
        "\ncount come from an exporter that looks at each scrape, with node_exporter beside it;"
        "\neach alert is a group of its own. Percentiles by nearest rank."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--faults", type=int, default=100, help="how many; half kills, half log errors")
    add("--defaults", type=int, default=40, help="measured at the peer's defaults too; 0: none")
    add("--spacing", type=float, default=2.4, help="mean seconds between two faults")
    add("--seed", type=int, default=1, help="of the faults' order and times")
    add("--quick", action="store_true", help="10 faults, without the peer at its defaults")
    options = parser.parse_args()
    if options.quick:
        options.faults, options.defaults = 10, 0
    if options.faults < 2:
        parser.error("--faults must be at least 2, one of each kind")
    options.defaults = min(options.defaults, options.faults)
    return options


if __name__ == "__main__":
    sys.exit(main())
