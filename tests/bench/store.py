"""Stores beside each other: bytes a sample, memory, restarts, and two queries.

    .venv/bin/python tests/bench/store.py RECORDING... [--fleet 2000] [--hours 6]
    .venv/bin/python tests/bench/store.py --series 1000000      # a restart of ours alone

A recording is what `chunks.py` takes. Its hosts are copied until there are so many series, each
repeated until it lasts so long; Forewarn, Debian's Prometheus and Debian's VictoriaMetrics get the
same remote write. Each is killed right after it and started again (what it has is in journals
then), has all sealed and merged, is killed and started again, and is asked over HTTP. Series that
came and went within the recording, or were no number at times, are left out. Prints figures;
asserts nothing about them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.chunks import recorded
from bench.figures import number, percentile, table
from bench.store_fleet import MARK, Fleet
from bench.store_servers import Server, disk, forewarn, prometheus, victoria_metrics
from forewarn_collector.store import Store
from forewarn_wire import Labels
from support.waiting import wait_until

HOUR = 3_600_000
DAY = 24 * HOUR
_FLEET = f'{{{MARK[0]}="{MARK[1]}"}}'
_ASKED = 20
"""How often one series is asked for, each time another."""
_REPEATED = 7
_UNTIL_WRITTEN = 12
"""Seconds after which VictoriaMetrics has on disk what it took; its default is five."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--fleet", type=int, default=2_000, help="series that all three get")
    parser.add_argument("--hours", type=float, default=6)
    parser.add_argument("--series", type=int, help="of a restart of ours alone")
    options = parser.parse_args()
    if not options.recordings and not options.series:
        parser.error("give recordings, or --series")
    with tempfile.TemporaryDirectory(prefix="forewarn-bench-") as folder:
        if options.recordings:
            end = time.time_ns() // 1_000_000
            length = int(options.hours * HOUR)
            fleet = Fleet(recorded(options.recordings), options.fleet, length, end)
            beside(fleet, Path(folder))
        if options.series:
            restart(options.series, Path(folder))


def beside(fleet: Fleet, folder: Path) -> None:
    """The three with the same samples, one after the other; prints the table."""
    print(
        f"{len(fleet.labels):,} series of {fleet.hosts} hosts,"
        f" {fleet.times.shape[1]:,} samples each, {fleet.samples:,} in all\n"
    )
    columns: dict[str, Mapping[str, str]] = {}
    for server, settle in (
        (forewarn(folder), _seal),
        (prometheus(folder), _snapshot),
        (victoria_metrics(folder), _merge),
    ):
        with ExitStack() as stack:
            stack.callback(server.kill)
            columns[server.name] = measured(server, settle, fleet)
    names = next(iter(columns.values()))
    rows = [[name, *(each[name] for each in columns.values())] for name in names]
    print(table(["", *columns], rows))


def measured(server: Server, settle: Callable[[Server], float], fleet: Fleet) -> Mapping[str, str]:
    """The figures of one server, by what they are."""
    found = {}
    server.start()
    began = time.perf_counter()
    for body in fleet.bodies():
        server.write(body)
    found["all written, s"] = number(time.perf_counter() - began, 1)
    found["RSS when all is written, MB"] = number(server.resident())
    if server.name == "VictoriaMetrics":
        # It keeps the last seconds in memory alone: a kill would take them with it.
        time.sleep(_UNTIL_WRITTEN)
    server.kill()
    found["ready after a kill then, s"] = number(server.start(), 2)
    sealed = settle(server)
    found["bytes a sample, sealed: samples alone"] = number(sealed / fleet.samples, 3)
    found["bytes a sample, sealed: all files"] = number(disk(server.data) / fleet.samples, 3)
    server.start()
    server.kill()
    found["ready after a kill, all sealed, s"] = number(server.start(), 2)
    found["RSS at that start, MB"] = number(server.resident())
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        found |= asked(server, connection, fleet)
    found["RSS after the queries, MB"] = number(server.resident())
    return found


def asked(
    server: Server, connection: http.client.HTTPConnection, fleet: Fleet
) -> Mapping[str, str]:
    """Milliseconds of queries, and how many values there were in the last answer."""
    ever = f"[{int(np.ptp(fleet.times)) + 60_000}ms]"
    chosen = np.random.default_rng(1).permutation(len(fleet.labels))[:_ASKED].tolist()
    every = {"query": f"sum({_FLEET})", "step": 15, "start": (fleet.end - HOUR) / 1000}
    found = {}
    for what, paths, expected in (
        (
            "one series over all time",
            [_instant(_selector(fleet.labels[place]) + ever, fleet.end) for place in chosen],
            fleet.times.shape[1],
        ),
        (
            "all series, last hour, as they are",
            [_instant(f"{_FLEET}[1h]", fleet.end)] * _REPEATED,
            int((fleet.times > fleet.end - HOUR).sum()),
        ),
        (
            "all series, last hour, their sum every 15 s",
            ["/api/v1/query_range?" + urlencode({**every, "end": fleet.end / 1000})] * _REPEATED,
            HOUR // 15_000 + 1,
        ),
    ):
        answers = [server.ask(connection, path) for path in paths]
        found[f"{what}: first, ms"] = number(answers[0][0], 1)
        found[f"{what}: median, ms"] = number(percentile([each[0] for each in answers], 0.5), 1)
        rows = json.loads(answers[-1][1])["data"]["result"]
        values = sum(len(row["values"]) for row in rows)
        found[f"{what}: values of {expected:,}"] = number(values)
    return found


def _selector(labels: Labels) -> str:
    return f"{{{','.join(f'{name}={json.dumps(value)}' for name, value in labels)}}}"


def _instant(expr: str, time: int) -> str:
    return "/api/v1/query?" + urlencode({"query": expr, "time": time / 1000})


def _seal(server: Server) -> float:
    """Ours: as after the day's end, when the parts of it are merged. Bytes of the archive."""
    server.kill()
    with closing(_opened(server.data, time.time_ns() // 1_000_000 + 2 * DAY)) as store:
        store.seal()
        for _ in store.compact():
            pass
    return sum(each.stat().st_size for each in server.data.glob("sealed.db*"))


def _snapshot(server: Server) -> float:
    """Prometheus: a snapshot has its head as a block, too; it goes on with that."""
    answer = json.loads(_post(server, "/api/v1/admin/tsdb/snapshot"))
    server.stop()
    server.data = server.data / "snapshots" / answer["data"]["name"]
    return sum(disk(chunks) for chunks in server.data.glob("*/chunks"))


def _merge(server: Server) -> float:
    """VictoriaMetrics: all parts of a month as one."""
    server.get("/internal/force_flush")
    server.get("/internal/force_merge")
    time.sleep(1)

    def merged() -> bool:
        found = server.figures()
        return not any(
            value for name, value in found.items() if name.startswith("vm_active_merges")
        )

    wait_until("VictoriaMetrics has merged", merged, 120, 0.2)
    server.stop()
    return disk(server.data / "data")


def _post(server: Server, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    with closing(connection):
        connection.request("POST", path)
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 200, (server.name, body)
    return body


def _opened(data: Path, now: int) -> Store:
    store = Store(data, retention=1 << 50, clock=lambda: now)
    store.open()
    return store


def restart(series: int, folder: Path) -> None:
    """Ours with so many series, killed while samples wait in its journal: when it is ready."""
    server = forewarn(folder)
    # So that a start takes something back into memory: ten minutes of one metric of a hundred.
    (folder / "rules.yml").write_text(
        "groups:\n- name: g\n  rules:\n"
        "  - {record: 'a:b', expr: 'sum(rate(node_bench_000_seconds_total[10m]))'}\n"
    )
    script = str(Path(__file__).with_name("store_million.py"))
    # In a process of its own, so that this one stays small.
    command = [sys.executable, script, str(server.data), str(series)]
    filled = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    rows = []
    with ExitStack() as stack:
        stack.callback(server.kill)
        for what in ("a kill with samples in the journal", "a kill, all sealed"):
            began = time.perf_counter()

            def note(stage: str, began: float = began) -> None:
                taken = number(time.perf_counter() - began, 2)
                rows.append([stage, taken, number(server.cpu(), 2), number(server.resident())])

            server.start()
            note(f"ready to take samples after {what}")
            # What rules read, and the ends of series.
            wait_until("all is in memory", lambda: _runs(server, "restore") >= 2, 300, 0.1)
            note("what rules read is in memory")
            wait_until("it is sealed", lambda: _runs(server, "seal") >= 1, 300, 0.1)
            note("the first seal is done")
            server.kill()
    print(
        f"\n{series:,} series, {filled['sealed']:,} samples sealed,"
        f" {filled['waiting']:,} in the journal, {disk(server.data) / 1e6:,.0f} MB\n"
    )
    print(table(["a restart of Forewarn", "s", "CPU s", "RSS, MB"], rows))


def _runs(server: Server, task: str) -> float:
    """How often some upkeep was done."""
    return sum(
        value
        for name, value in server.figures().items()
        if name.startswith("forewarn_store_upkeep_total")
        and f'task="{task}"' in name
        and 'result="done"' in name
    )


if __name__ == "__main__":
    main()
