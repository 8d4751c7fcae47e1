"""Debian's vmalert as a foreign rule evaluator: it reads here, writes back, and tells a peer."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.servers import answers, call, free_port, program, running, running_collector
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, write_body

pytestmark = pytest.mark.server

RULES = """
groups:
  - name: foreign
    interval: 1s
    rules:
      - record: "job:load:sum"
        expr: sum by (job) (load)
      - alert: Loaded
        expr: load > 5
        labels: {severity: high}
        annotations: {summary: "{{ $labels.instance }} has {{ $value }}"}
      - alert: LoadedByTheRecord
        expr: job:load:sum > 10
"""


def test_vmalert_evaluates_its_rules_here_and_writes_back(tmp_path: Path) -> None:
    vmalert, alertmanager = program("vmalert"), program("prometheus-alertmanager")
    rules, config = tmp_path / "rules.yml", tmp_path / "alertmanager.yml"
    rules.write_text(RULES)
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    port, listen = free_port(), f"127.0.0.1:{free_port()}"
    notified = f"http://127.0.0.1:{port}"
    with (
        running_collector(tmp_path, "--no-auth") as collector,
        running(
            [
                alertmanager,
                f"--config.file={config}",
                f"--storage.path={tmp_path / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            tmp_path / "alertmanager.log",
        ),
    ):
        wait_until("the Alertmanager is ready", lambda: answers(f"{notified}/-/ready"))
        now = int(call(f"{collector.url}/api/v1/query?query=time()").json()["data"]["result"][0])
        for host, load in (("a", 3.0), ("b", 8.0)):
            body = write_body({"load": load}, now * 1000, job="x", instance=host)
            assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status == 204
        command = [
            vmalert,
            f"-rule={rules}",
            f"-datasource.url={collector.url}",
            f"-remoteWrite.url={collector.url}",
            "-remoteWrite.flushInterval=200ms",
            f"-remoteRead.url={collector.url}",
            f"-notifier.url={notified}",
            "-evaluationInterval=1s",
            f"-httpListenAddr={listen}",
        ]
        with running(command, tmp_path / "vmalert.log"):
            recorded = wait_until("the rule records", lambda: collector.query("job:load:sum"))
            assert (recorded[0]["metric"]["job"], recorded[0]["value"][1]) == ("x", "11")
            written = wait_until(
                "its alerts are written back",
                lambda: collector.query('ALERTS{alertname="LoadedByTheRecord"}'),
            )
            assert written[0]["metric"]["alertstate"] == "firing"

            def alerts() -> list[str]:
                found = call(f"{notified}/api/v2/alerts").json()
                return [
                    alert["annotations"]["summary"]
                    for alert in found
                    if alert["labels"]["alertname"] == "Loaded"
                ]

            assert wait_until("the Alertmanager is told", alerts) == ["b has 8"]
            groups = call(f"http://{listen}/api/v1/rules").json()["data"]["groups"]
            health = {rule["health"] for group in groups for rule in group["rules"]}
            assert health == {"ok"}
