"""What the agent costs its host, beside node_exporter scraped as often, in one run.

    .venv/bin/python tests/bench/agent.py [--minutes 10] [--interval 10]

The agent runs all default sources and sends to a running collector; node_exporter runs its default
collectors. Prints figures; asserts nothing.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import forewarn_agent
import forewarn_wire
from bench.figures import number, percentile, ratio, table
from bench.peers import node_exporter
from bench.process_cost import Cost, cost
from support.servers import call, running, running_collector
from support.waiting import wait_until

MB = 1e6
LIBRARIES = ("cramjam", "psutil", "watchdog", "yaml")
"""What the agent's installation needs: `dependencies` of pyproject.toml."""


def main() -> int:
    """Run the benchmark."""
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forewarn-bench-")))
        exporter, port = stack.enter_context(node_exporter(folder, copied=True))
        collector = stack.enter_context(running_collector(folder / "collector"))
        python, environment = _own_interpreter(folder)
        command = [python, "-m", "forewarn_agent", "--collector", collector.url]
        command += ["--interval", f"{options.interval}s", "--spool", str(folder / "spool")]
        command += ["--token-file", str(collector.data / "token")]
        agent = stack.enter_context(running(command, folder / "agent.log", environment, cwd=folder))
        wait_until("the agent reports", lambda: collector.query("up == 1"), 30)
        # The first rounds open descriptors and fill caches; they are shown apart, as the start.
        _each_interval(3, options.interval, lambda: _scrape(port))
        pids = {"agent": agent.pid, "exporter": exporter.pid}
        started = {name: cost(pid) for name, pid in pids.items()}
        seen: dict[str, list[Cost]] = {name: [] for name in pids}
        exported: list[int] = []

        def look() -> None:
            exported.append(_scrape(port))
            for name, pid in pids.items():
                seen[name].append(cost(pid))

        rounds = max(round(options.minutes * 60 / options.interval), 1)
        print(f"measuring for {rounds * options.interval / 60:g} minutes", flush=True)
        _each_interval(rounds, options.interval, look)
        sent = collector.query('count({job="node"})')
        series = {"agent": int(float(sent[0]["value"][1])), "exporter": exported[-1]}
    _report(started, seen, series, rounds * options.interval / 60)
    return 0


def _own_interpreter(folder: Path) -> tuple[str, dict[str, str]]:
    """A copy of this Python and of the agent's libraries, for the agent alone.

    The collector and the benchmark are Python too; sharing program pages with them would make the
    agent's PSS smaller than it is on a host where nothing else runs Python. Returns the program
    and the environment that it needs.
    """
    home = folder / "venv"
    packages = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages /= "site-packages"
    (home / "bin").mkdir(parents=True)
    packages.mkdir(parents=True)
    program = home / "bin" / "python3"
    shutil.copy2(Path(sys.executable).resolve(), program)
    shutil.copy2(Path(sys.prefix) / "pyvenv.cfg", home)
    for name in LIBRARIES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        shutil.copytree(Path(found.origin).parent, packages / name)
    ours = [Path(module.__path__[0]).parent for module in (forewarn_agent, forewarn_wire)]
    (packages / "forewarn.pth").write_text("".join(f"{path}\n" for path in ours))
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        shared = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME")
        shutil.copy2(shared, home / "bin")
    return str(program), {"LD_LIBRARY_PATH": str(home / "bin")}


def _each_interval(rounds: int, interval: float, work: Callable[[], object]) -> None:
    """Do the work at the end of each interval, without drift."""
    began = time.monotonic()
    for i in range(1, rounds + 1):
        time.sleep(max(began + i * interval - time.monotonic(), 0))
        work()


def _scrape(port: int) -> int:
    """Scrape node_exporter as Prometheus does; returns how many samples it gave."""
    headers = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip"}
    answer = call(f"http://127.0.0.1:{port}/metrics", headers=headers)
    assert answer.status == 200
    return _count(answer.body)


def _count(body: bytes) -> int:
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))


def _report(
    started: dict[str, Cost], seen: dict[str, list[Cost]], series: dict[str, int], minutes: float
) -> None:
    figures: dict[str, list[float]] = {}
    for name in ("agent", "exporter"):
        costs = seen[name]
        cpu = costs[-1].cpu - started[name].cpu
        figures[name] = [
            series[name],
            percentile([c.pss / MB for c in costs], 0.5),
            max(c.pss / MB for c in costs),
            percentile([c.private / MB for c in costs], 0.5),
            percentile([c.rss / MB for c in costs], 0.5),
            started[name].cpu,
            cpu,
            cpu / minutes,
            cpu / minutes / series[name] * 1000,
        ]
    lines = (
        ("series", 0),
        ("PSS, MB, median", 1),
        ("PSS, MB, highest", 1),
        ("private memory, MB, median", 1),
        ("RSS, MB, median", 1),
        ("CPU s until measured", 2),
        (f"CPU s in {minutes:g} minutes", 2),
        ("CPU s a minute", 3),
        ("CPU s a minute, per 1,000 series", 3),
    )
    rows = [
        [title, number(ours, digits), number(peer, digits), ratio(ours, peer)]
        for (title, digits), ours, peer in zip(
            lines, figures["agent"], figures["exporter"], strict=True
        )
    ]
    print(f"\n{table(['', 'forewarn-agent', 'node_exporter', 'ratio'], rows)}")
    print(
        "\nCPU time is utime + stime. Both run from copies of their programs, so no PSS is made"
        "\nsmaller by pages shared with the collector, with this benchmark or with a second copy."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--interval", type=int, default=10, help="seconds between rounds")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
