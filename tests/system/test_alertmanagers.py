"""Alerts sent to Alertmanagers: beside Debian's Prometheus, to a real one, and through crashes.

Collector and Prometheus get the same samples, have the same rules, and both post to a recording
server.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.recorder import Recorder, recording
from support.servers import (
    RunningCollector,
    answers,
    call,
    free_port,
    program,
    running,
    running_collector,
)
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, write_body

pytestmark = pytest.mark.server

RULES = """
groups:
  - name: g
    interval: 1s
    rules:
      - alert: Loaded
        expr: load>5
        labels: {severity: high, empty: "", region: "{{ $labels.zone }}"}
        annotations:
          summary: "{{ $labels.instance }} has {{ $value }} at {{ $externalLabels.site }}"
      - alert: Patient
        expr: load > 5 and on(instance) load{job="x"} < 100
        for: 1h
"""

DROPPED = """
      - alert: Dropped
        expr: load > 6
"""

RELABEL = """
  - {action: drop, source_labels: [alertname], regex: Drop.*}
  - source_labels: [instance, zone]
    regex: "(.);(?P<z>.*)"
    target_label: joined_$1
    replacement: ${z}-$1x
  - {action: hashmod, source_labels: [instance], modulus: 97, target_label: shard}
  - {action: labelmap, regex: (re)(gion), replacement: "${2}_$1"}
  - {action: labeldrop, regex: region}
  - {action: uppercase, source_labels: [severity, job], target_label: severity}
  - {action: keepequal, source_labels: [zone], target_label: gion_re}
  - {action: labelkeep, regex: alertname|instance|job|joined_a|shard|gion_re|severity|site}
  - {source_labels: [nothing], target_label: constant, replacement: added}
  - {target_label: job, replacement: ""}
"""

PROMETHEUS = """
global: {{external_labels: {{site: one, job: other}}}}
rule_files: [{rules}]
alerting:
  alertmanagers: [{{path_prefix: /am, static_configs: [{{targets: ['{target}']}}]}}]
  alert_relabel_configs:
"""

COLLECTOR = """
external_labels: {{site: one, job: other}}
resend_delay: 1s
alertmanagers: [{{url: '{url}'}}]
"""


@dataclass(frozen=True)
class Sent:
    """One alert of one request. Times in seconds since epoch."""

    alert: dict[str, Any]

    @property
    def starts(self) -> float:
        return datetime.fromisoformat(self.alert["startsAt"]).timestamp()

    @property
    def ends(self) -> float:
        return datetime.fromisoformat(self.alert["endsAt"]).timestamp()


def sent(recorder: Recorder) -> list[dict[str, Any]]:
    return [alert for request in recorder.requests for alert in json.loads(request.body)]


def write(url: str, load: float, headers: dict[str, str] | None = None, **more: str) -> None:
    body = write_body({"load": load}, int(time.time() * 1000), job="x", instance="a", **more)
    named = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
    answer = call(f"{url}/api/v1/write", body, {**named, **(headers or {})}, "POST")
    assert answer.status in {200, 204}, answer.body


@contextmanager
def collector_told(folder: Path, config: str, rules: str = RULES) -> Iterator[RunningCollector]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules)
    (folder / "collector.yml").write_text(config)
    arguments = ["--config", f"{folder}/collector.yml", "--rules", f"{folder}/rules.yml"]
    with running_collector(folder, "--no-auth", *arguments) as collector:
        yield collector


def active(url: str) -> list[dict[str, str]]:
    """The Alertmanagers that a server says it sends to."""
    found: list[dict[str, str]] = call(f"{url}/api/v1/alertmanagers").json()["data"][
        "activeAlertmanagers"
    ]
    return found


@contextmanager
def prometheus_told(folder: Path, url: str) -> Iterator[str]:
    folder.mkdir(parents=True)
    (folder / "rules.yml").write_text(RULES + DROPPED)
    target = url.removeprefix("http://")
    text = PROMETHEUS.format(rules=folder / "rules.yml", target=target) + RELABEL
    (folder / "prometheus.yml").write_text(text)
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=http://here.example.org/p",
        "--web.route-prefix=/",
        "--web.enable-remote-write-receiver",
        "--rules.alert.resend-delay=1s",
    ]
    with running(command, folder / "prometheus.log"):
        here = f"http://127.0.0.1:{port}"
        wait_until("Prometheus is ready", lambda: answers(f"{here}/-/ready"))
        # It finds its Alertmanagers five seconds after its start, and drops alerts until then.
        wait_until("it knows the Alertmanager", lambda: active(here))
        yield here


def test_what_is_sent_is_what_prometheus_sends(tmp_path: Path) -> None:
    with recording() as ours, recording() as theirs, ExitStack() as stack:
        config = COLLECTOR.format(url=ours.url + "/am")
        config += f"external_url: http://here.example.org/p\nalert_relabel_configs:{RELABEL}"
        peer = stack.enter_context(prometheus_told(tmp_path / "prometheus", theirs.url))
        collector = stack.enter_context(
            collector_told(tmp_path / "collector", config, RULES + DROPPED)
        )
        both = (collector.url, peer)
        for url in both:
            write(url, 9, zone="z")
        for recorder in (ours, theirs):
            recorder.wait_for("it is sent again", lambda r=recorder: len(sent(r)) >= 2)
        firing = [[Sent(one) for one in sent(r)] for r in (ours, theirs)]
        for url in both:
            write(url, 1, zone="z")

        def ended(recorder: Recorder) -> list[dict[str, Any]]:
            """Sent with the same end twice: what fires has a later one every time."""
            found = [one["endsAt"] for one in sent(recorder)]
            return [one for one in sent(recorder) if found.count(one["endsAt"]) > 1]

        for recorder in (ours, theirs):
            recorder.wait_for("its end is sent again", lambda r=recorder: ended(r))
        ends = [[Sent(one) for one in ended(r)] for r in (ours, theirs)]
        for told in firing:
            assert len({one.starts for one in told}) == 1
            assert {one.alert["labels"]["alertname"] for one in told} == {"Loaded"}
            # Good for four times the interval, counted from the evaluation.
            assert told[0].ends - told[0].starts == pytest.approx(4, abs=0.002)
            # Sent again with an evaluation later than the delay: at their times, every 2 s; by
            # ours, which come with samples, too, not before 1 s is over.
            again = told[1].ends - told[0].ends
            assert 1 < again < 10, again
        for told, ending in zip(firing, ends, strict=True):
            assert ending[0].starts == told[0].starts
            assert told[0].starts < ending[0].ends
        same = ("labels", "annotations", "generatorURL")
        for mine, peers in zip((firing[0], ends[0]), (firing[1], ends[1]), strict=True):
            assert {k: mine[0].alert[k] for k in same} == {k: peers[0].alert[k] for k in same}
            assert mine[0].alert.keys() == peers[0].alert.keys()
        # Seen once, so that both being empty can't pass.
        assert firing[0][0].alert["labels"] == {
            "alertname": "Loaded",
            "constant": "added",
            "gion_re": "z",
            "instance": "a",
            "joined_a": "z-",
            "severity": "HIGH;X",
            # The last 8 bytes of md5("a"), 0x31c399e269772661, modulo 97.
            "shard": str(0x31C399E269772661 % 97),
            "site": "one",
        }
        assert firing[0][0].alert["annotations"] == {"summary": "a has 9 at one"}
        assert {request.path for request in ours.requests} == {"/am/api/v2/alerts"}
        assert {request.path for request in theirs.requests} == {"/am/api/v2/alerts"}
        assert [active(url) for url in both] == [
            [{"url": f"{recorder.url}/am/api/v2/alerts"}] for recorder in (ours, theirs)
        ]


@contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[str]:
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    url = f"http://127.0.0.1:{port}/am"
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={url}",
        "--cluster.listen-address=",
    ]
    with running(command, folder / "alertmanager.log"):
        wait_until("the Alertmanager is ready", lambda: answers(f"{url}/-/ready"))
        yield url


def amtool(url: str) -> list[dict[str, Any]]:
    """The alerts that an Alertmanager has active, by its own tool."""
    command = [program("amtool"), f"--alertmanager.url={url}", "--output=json", "alert", "query"]
    found = subprocess.run(command, check=True, capture_output=True, timeout=10)
    alerts: list[dict[str, Any]] = json.loads(found.stdout)
    return alerts


def test_a_real_alertmanager_has_the_alert_while_it_fires_whoever_was_down(
    tmp_path: Path,
) -> None:
    port = free_port()
    config = COLLECTOR.format(url=f"http://127.0.0.1:{port}/am")
    with collector_told(tmp_path / "collector", config) as collector:
        write(collector.url, 9)
        # Nobody listens there yet.
        wait_until("the log says so", lambda: "takes no alerts" in collector.output)
        with alertmanager(tmp_path, port) as url:
            [alert] = wait_until("amtool shows the alert", lambda: amtool(url))
            assert alert["labels"]["alertname"] == "Loaded"
            assert alert["annotations"] == {"summary": "a has 9 at one"}
            assert "takes alerts again" in collector.output
            write(collector.url, 1)
            wait_until("its end is told", lambda: amtool(url) == [])
        assert collector.output.count("takes no alerts") == 1
        sent_total = collector.get("/metrics").body.decode()
        name = f'forewarn_notifications_sent_total{{alertmanager="{url}/api/v2/alerts"}}'
        assert float(sent_total.partition(name)[2].split()[0]) >= 2


def test_after_kill_9_alerts_are_sent_again_with_the_same_start(tmp_path: Path) -> None:
    with recording() as told:
        config = COLLECTOR.format(url=told.url)
        with collector_told(tmp_path, config) as collector:
            write(collector.url, 9)
            told.wait_for("it is sent", lambda: sent(told))
            collector.process.send_signal(signal.SIGKILL)
            collector.process.wait(10)
        before = len(told.requests)
        with collector_told(tmp_path, config):
            told.wait_for("it is sent again", lambda: len(told.requests) > before)
        again = json.loads(told.requests[before].body)
    assert [one["startsAt"] for one in again] == [sent(told)[0]["startsAt"]]


def test_an_alert_whose_rule_is_taken_out_ends_at_the_alertmanager(tmp_path: Path) -> None:
    with alertmanager(tmp_path, free_port()) as url:
        config = COLLECTOR.format(url=url)
        with collector_told(tmp_path / "collector", config) as collector:
            write(collector.url, 9)
            wait_until("amtool shows the alert", lambda: amtool(url))
            (tmp_path / "collector" / "rules.yml").write_text("groups: []\n")
            collector.process.send_signal(signal.SIGHUP)
            wait_until("its end is told", lambda: amtool(url) == [])
