"""How fast rules are replayed over the past, beside `vmalert -replay` with the same samples.

    .venv/bin/python tests/bench/backtest.py [--hosts 10] [--days 7] [--public]

The rules that ship, or the public collection of `../shared/data`, over days of hosts with the
series of Debian's node_exporter that these rules read, a sample every 15 seconds. Ours reads a
data directory; vmalert asks Debian's VictoriaMetrics, whose work is counted to it. Prints figures;
asserts nothing.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.backtest_past import STEP, Fleet, Template, fill_directory, fill_victoria, templates
from bench.figures import number, ratio, table
from bench.peers import node_exporter
from bench.process_cost import cost
from forewarn_collector.history import DirectoryFeed, Window
from forewarn_collector.rules import AlertingRule, RuleSet, load_rules
from forewarn_collector.rules.backtest import EXACT, Span
from forewarn_collector.tasks.backtest import backtest
from support.servers import answers, call, free_port, program, running
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "rules" / "host.yml", ROOT / "rules" / "service.yml"]
PUBLIC = ROOT.parent / "shared/data/rules/awesome-prometheus-alerts"
START = 1_788_220_800_000
"""2026-09-01, midnight UTC: what is in the past does not grow meanwhile."""


@dataclass(frozen=True)
class Measured:
    """What one replay took: seconds, and the memory of the process at its most, in MB."""

    name: str
    wall: float
    cpu: float
    memory: float
    found: str


def files_of(arguments: argparse.Namespace) -> list[Path]:
    """The rule files that are replayed."""
    return sorted(PUBLIC.rglob("*.yml")) if arguments.public else SHIPPED


def metrics_read(rules: RuleSet) -> set[str]:
    """The metrics that rules name."""
    return {name for rule in rules.rules() for name in rule.query.metrics or ()}


def scraped(folder: Path, rules: RuleSet) -> list[Template]:
    """The series of this machine's node_exporter that rules read."""
    with node_exporter(folder) as (_, port):
        text = call(f"http://127.0.0.1:{port}/metrics").body.decode()
    return templates(text, metrics_read(rules))


def ours(rules: RuleSet, data: Path, span: Span, resolution: int) -> Measured:
    """Our backtest in this process."""
    selectors = [each.matchers for rule in rules.rules() for each in rule.query.selectors]
    wall, cpu = time.perf_counter(), time.process_time()
    with closing(Window(DirectoryFeed(data), selectors)) as window:
        found = backtest(rules, window, span, resolution=resolution)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"replayed in {wall:.1f} s", file=sys.stderr)
    failed = sum(bool(each.failures) for each in found.replayed.outcomes.values())
    how = "at every sample" if resolution == EXACT else f"every {resolution // 1000} s"
    return Measured(
        f"Forewarn, {how}",
        wall,
        cpu,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        f"{len(found.tasks)} tasks, {number(found.replayed.evaluations)} evaluations,"
        f" {failed} rules failed",
    )


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[tuple[str, int]]:
    """Debian's VictoriaMetrics, empty; yields its address and process id."""
    port = free_port()
    command = [
        program("victoria-metrics"),
        f"-storageDataPath={folder / 'victoria'}",
        "-retentionPeriod=100y",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-search.maxUniqueTimeseries=10000000",
    ]
    with running(command, folder / "victoria.log") as process:
        url = f"http://127.0.0.1:{port}"
        wait_until("VictoriaMetrics is ready", lambda: answers(f"{url}/health"), 30)
        yield url, process.pid


def plain_copies(files: Sequence[Path], folder: Path) -> list[Path]:
    """The rule files without what only Forewarn knows."""
    folder.mkdir()
    copies = []
    for position, file in enumerate(files):
        document = yaml.safe_load(file.read_text())
        for group in document["groups"]:
            for rule in group["rules"] or ():
                rule.pop("task", None)
        copies.append(folder / f"{position:03d}-{file.name}")
        copies[-1].write_text(yaml.safe_dump(document))
    return copies


def peer(files: Sequence[Path], folder: Path, url: str, pid: int, span: Span) -> Measured:
    """vmalert's replay; the CPU time of VictoriaMetrics meanwhile counts as well."""
    moments = [
        datetime.fromtimestamp(each / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for each in (span.start, span.end)
    ]
    log = folder / "vmalert.log"
    command = [
        program("vmalert"),
        *(f"-rule={file}" for file in plain_copies(files, folder / "rules")),
        f"-datasource.url={url}",
        f"-remoteWrite.url={url}",
        f"-replay.timeFrom={moments[0]}",
        f"-replay.timeTo={moments[1]}",
        "-replay.disableProgressBar",
        "-replay.rulesDelay=0s",
        f"-evaluationInterval={STEP // 1000}s",
        f"-httpListenAddr=127.0.0.1:{free_port()}",
    ]
    before = cost(pid).cpu
    wall = time.perf_counter()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    with running(command, log) as process:
        process.wait()
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = (after.ru_utime + after.ru_stime) - (spent.ru_utime + spent.ru_stime)
    text = log.read_text()
    done = re.findall(r"replay succeed|replay finished", text)
    errors = len(re.findall(r"\t(?:error|fatal)\t", text))
    memory = (cost(pid).rss) / 1e6
    return Measured(
        "vmalert -replay",
        wall,
        own + cost(pid).cpu - before,
        memory,
        f"{'done' if done else 'ended'} with {errors} errors, code {process.returncode}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--public", action="store_true", help="The public rules.")
    parser.add_argument("--exact", action="store_true", help="At every sample, too.")
    parser.add_argument("--ours-only", action="store_true")
    arguments = parser.parse_args()
    files = files_of(arguments)
    rules = load_rules(files, interval=STEP)
    alerting = sum(isinstance(rule, AlertingRule) for rule in rules.rules())
    count = sum(1 for _ in rules.rules())
    with tempfile.TemporaryDirectory(prefix="forewarn-bench-") as name:
        folder = Path(name)
        fleet = Fleet(scraped(folder, rules), arguments.hosts, arguments.days, START)
        span = Span(START, fleet.end)
        print(
            f"{count} rules ({alerting} alerting), {fleet.hosts} hosts, {fleet.days} days,"
            f" {fleet.series} series, {number(fleet.samples)} samples"
        )
        fill_directory(folder / "data", fleet)
        resolutions = (STEP, EXACT) if arguments.exact else (STEP,)
        measured = [ours(rules, folder / "data", span, each) for each in resolutions]
        if not arguments.ours_only:
            with victoria_metrics(folder) as (url, pid):
                fill_victoria(url, fleet)
                measured.append(peer(files, folder, url, pid, span))
            if "code 0" not in measured[-1].found:
                print((folder / "vmalert.log").read_text()[-2000:], file=sys.stderr)
    rule_days = count * arguments.days
    base = measured[-1]
    print(
        table(
            ("", "wall s", "CPU s", "rule-days/s", "CPU ratio", "memory MB", "found"),
            [
                (
                    each.name,
                    number(each.wall, 1),
                    number(each.cpu, 1),
                    number(rule_days / each.wall, 1),
                    ratio(each.cpu, base.cpu),
                    number(each.memory),
                    each.found,
                )
                for each in measured
            ],
        )
    )


if __name__ == "__main__":
    main()
