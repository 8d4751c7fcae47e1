"""The rules benchmark's peer: Debian's Prometheus, fed by remote write, with the same rules."""

from __future__ import annotations

import http.client
import json
import math
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.figures import percentile
from bench.process_cost import cost
from bench.rules_fleet import TICK, Fleet, Tick
from bench.rules_mix import BenchRule
from bench.write_bodies import label_bytes, write_body
from forewarn_wire import Labels, labels_from
from support.servers import answers, free_port, program, running
from support.waiting import wait_until

_CONFIG = "global: {{evaluation_interval: {every}s}}\nrule_files: {rules}\n"
_SLICE = 30
"""How many ticks of history one body holds."""
_HOSTS_A_BODY = 100
_QUIET_TICKS = 6
"""For how many ticks the cost of taking samples in is measured, before there are rules."""
_MARGIN = 30
"""An instant this long (ms) before a tick's end is no host's, nor are those whole ticks before:
the ranges of 2.x hold a sample that is just as old as they are long, those of 3.x do not."""

_DURATION = re.compile(
    r'^prometheus_rule_group_last_duration_seconds\{rule_group="[^"]*;([^"]*)"\} (\S+)$', re.M
)
_ITERATIONS = re.compile(
    r'^prometheus_rule_group_iterations_total\{rule_group="[^"]*;([^"]*)"\} (\S+)$', re.M
)
_MISSED = re.compile(
    r'^prometheus_rule_group_iterations_missed_total\{rule_group="[^"]*"\} (\S+)$', re.M
)


@dataclass
class PeerFigures:
    """What Prometheus was measured to need, and what it answered.

    `wall[group]` has each evaluation's seconds; `cpu` is CPU seconds for a round of all groups,
    `arrival_cpu` for one tick's samples. `answers[i]` is the vector of rule `i` at `at` (ms), when
    `ticks` ticks had been sent.
    """

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: float = math.nan
    arrival_cpu: float = math.nan
    missed: int = 0
    ticks: int = 0
    at: int = 0
    answers: list[dict[Labels, float]] = field(default_factory=list)

    @property
    def round_wall(self) -> float:
        """Seconds for all groups, one after another."""
        return sum(percentile(each, 0.5) for each in self.wall.values()) if self.wall else math.nan


def measure(
    folder: Path, rule_file: Path, mix: Sequence[BenchRule], fleet: Fleet, rounds: int, every: int
) -> PeerFigures:
    """Load an hour, then evaluate the rules every `every` seconds while samples arrive.

    The fleet's first tick lies an hour back; the ticks that pass during the load are loaded, too.
    """
    found = PeerFigures()
    with _prometheus(folder) as (pid, port):
        feed = _Feed(fleet, port)
        feed.catch_up()
        with feed.live():
            before = cost(pid).cpu
            feed.wait(_QUIET_TICKS)
            found.arrival_cpu = (cost(pid).cpu - before) / _QUIET_TICKS
            _configure(folder, every, [str(rule_file)])
            _request(port, "POST", "/-/reload")
            _watch(pid, port, feed, found, rounds)
        # A reload without rules: nothing else runs while the answers are asked for.
        _configure(folder, every, [])
        _request(port, "POST", "/-/reload")
        found.ticks, found.at = feed.ticks, fleet.end - _MARGIN
        found.answers = [_ask(port, rule.inlined, found.at) for rule in mix]
    return found


def _watch(pid: int, port: int, feed: _Feed, found: PeerFigures, rounds: int) -> None:
    """Note the duration of every evaluation until each group had `rounds` after its first two."""
    seen: dict[str, float] = {}
    began: tuple[float, int, float] | None = None
    while True:
        time.sleep(1)
        text = _request(port, "GET", "/metrics").decode()
        durations = dict(_DURATION.findall(text))
        iterations = {name: float(count) for name, count in _ITERATIONS.findall(text)}
        if not iterations:
            continue
        for name, count in iterations.items():
            if count > seen.get(name, 0) and count > 2:
                found.wall.setdefault(name, []).append(float(durations[name]))
        seen = iterations
        total = sum(iterations.values())
        if began is None and min(iterations.values()) >= 2:
            began = cost(pid).cpu, feed.ticks, total
        if min(iterations.values()) >= rounds + 2 and began is not None:
            cpu = cost(pid).cpu - began[0] - (feed.ticks - began[1]) * found.arrival_cpu
            found.cpu = cpu / (total - began[2]) * len(iterations)
            found.missed = sum(int(float(count)) for count in _MISSED.findall(text))
            return


class _Feed:
    """Sends a fleet's ticks: those that are past as fast as may be, then each at its time."""

    def __init__(self, fleet: Fleet, port: int) -> None:
        self._fleet = fleet
        self._port = port
        self._heads = [[label_bytes(labels) for labels in host] for host in fleet.labels]
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self.ticks = 0

    def catch_up(self) -> None:
        """Send all ticks that are over by now."""
        while (past := int((time.time() * 1000 - self._fleet.end) // TICK)) > 0:
            self._send([self._fleet.tick() for _ in range(min(past, _SLICE))], _HOSTS_A_BODY)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Meanwhile every tick is sent when it is over."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if self._failure is not None:
            raise self._failure

    def wait(self, ticks: int) -> None:
        """Return when so many more ticks have been sent."""
        wanted = self.ticks + ticks
        wait_until("ticks are sent", lambda: self._failure or self.ticks >= wanted, 120, 0.1)

    def _run(self) -> None:
        try:
            while not self._ended.wait(max(self._fleet.end + TICK - time.time() * 1000, 0) / 1000):
                self._send([self._fleet.tick()], 10 * _HOSTS_A_BODY)
        except BaseException as error:  # noqa: BLE001 - raised where the thread is joined
            self._failure = error

    def _send(self, ticks: Sequence[Tick], hosts: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        for low in range(0, self._fleet.hosts, hosts):
            connection.request("POST", "/api/v1/write", self._body(ticks, low, low + hosts))
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 204, (answer.status, text)
        connection.close()
        self.ticks += len(ticks)

    def _body(self, ticks: Sequence[Tick], low: int, high: int) -> bytes:
        """A body with the ticks of some hosts."""
        return write_body(
            self._heads[low:high],
            np.stack([tick.times[low:high] for tick in ticks], axis=1),
            np.stack([tick.values[low:high] for tick in ticks], axis=2),
            np.stack([tick.sent[low:high] for tick in ticks], axis=1),
        )


@contextmanager
def _prometheus(folder: Path) -> Iterator[tuple[int, int]]:
    """A Prometheus that takes remote write and has no rules yet; its process and port."""
    folder.mkdir(parents=True)
    port = free_port()
    _configure(folder, 60, [])
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    with running(command, folder / "prometheus.log") as process:
        wait_until("Prometheus is ready", lambda: answers(f"http://127.0.0.1:{port}/-/ready"), 30)
        yield process.pid, port


def _configure(folder: Path, every: int, rule_files: Sequence[str]) -> None:
    text = _CONFIG.format(every=every, rules=json.dumps(rule_files))
    (folder / "prometheus.yml").write_text(text)


def _ask(port: int, expr: str, at: int) -> dict[Labels, float]:
    form = urllib.parse.urlencode({"query": expr, "time": f"{at / 1000:.3f}"})
    answer = json.loads(_request(port, "POST", "/api/v1/query", form))
    assert answer["status"] == "success", (expr, answer)
    return {
        labels_from(_named(element["metric"])): float(element["value"][1])
        for element in answer["data"]["result"]
    }


def _named(metric: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in metric.items() if name != "__name__"}


def _request(port: int, method: str, path: str, form: str = "") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    connection.request(method, path, form or None, headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, (path, answer.status, body)
    return body
