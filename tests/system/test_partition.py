"""A real agent that is cut off: what came and went meanwhile becomes one task, for the record.

A process dies and returns, a service is out for some seconds, and a line of a log tells of an
error, all while the collector is down; then that is killed in the middle of the backlog.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from support.receiver import receiving
from support.servers import RunningCollector, free_port, running, running_agent, running_collector
from support.stub_server import stub_server
from support.waiting import wait_until

CONFIG = """\
rules: ['{rules}', rules.yml]
queues:
  support: {{kind: webhook, url: '{url}'}}
"""
# The shipped rule looks back for five minutes, which are not over when the agent is back.
RECENT = """\
groups:
  - name: recent
    rules:
      - alert: LogFatalOfLate
        expr: increase(forewarn_events_total{type="log",severity="fatal"}[20s]) > 0
      - alert: ServiceOut
        expr: probe_success == 0
"""
AGENT = """\
instance: host-1
interval: 1s
processes:
  - {{name: victim, cmdline: ['victim-of-the-partition']}}
checks:
  - {{name: service, url: '{url}', interval: 1s, timeout: 1s}}
logs:
  - name: shop
    paths: ['{log}']
    patterns: [{{name: fatal, regex: FATAL, severity: fatal}}]
"""
LINE = "FATAL the ledger of the shop is gone"
VICTIM = [sys.executable, "-c", "import time; time.sleep(600)", "victim-of-the-partition"]
OVER = ("ProcessGroupDown", "ServiceOut", "LogFatalOfLate")
SERVICE_RULES = Path(__file__).parents[2] / "rules" / "service.yml"
EVERY_STATE = ["open", "acknowledged", "resolved"]
LATE = 62_000
"""Samples count as late from an age of 60 s on."""


def now() -> int:
    return int(time.time() * 1000)


def members(collector: RunningCollector) -> list[str]:
    query = 'namedprocess_namegroup_num_procs{groupname="victim"}'
    return [row["value"][1] for row in collector.query(query)]


def probes(collector: RunningCollector) -> list[str]:
    return [row["value"][1] for row in collector.query("probe_success")]


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_what_came_and_went_offline_is_told_once_though_the_collector_is_killed(
    tmp_path: Path,
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    agent_log, shop_log = tmp_path / "agent.log", tmp_path / "shop.log"
    shop_log.write_text("started\n")
    health = {"/": (200, b"ok")}
    with receiving() as queue, stub_server(health) as service:
        config = tmp_path / "collector.yml"
        config.write_text(CONFIG.format(url=queue.url, rules=SERVICE_RULES))
        (tmp_path / "rules.yml").write_text(RECENT)
        arguments = ("--config", str(config), "--listen", listen)
        agent = AGENT.format(url=f"{service}/", log=shop_log)
        with (
            running(VICTIM, tmp_path / "victim.log") as victim,
            running_collector(tmp_path, *arguments) as collector,
            running_agent(tmp_path, f"http://{listen}", agent, token_file=collector.data / "token"),
        ):
            wait_until("the victim is seen", lambda: members(collector) == ["1"])
            wait_until("the service is up", lambda: probes(collector) == ["1"])
            kill(collector.process)
            wait_until("the agent is cut off", lambda: "cannot send" in agent_log.read_text())
            began = now()
            kill(victim)
            health["/"] = (503, b"out of order")
            with shop_log.open("a") as file:
                file.write(f"{LINE}\n")
            wait_until("that lasts for five seconds", lambda: now() > began + 5_000)
            health["/"] = (200, b"ok")
            with running(VICTIM, tmp_path / "victim.log"):
                ended = now()
                wait_until("that is long ago", lambda: now() > ended + LATE, 90, 0.5)
                with running_collector(tmp_path, *arguments) as again:
                    wait_until("the backlog comes", lambda: "comes late" in again.output, 40)
                    kill(again.process)
                with running_collector(tmp_path, *arguments) as last:
                    for rule in OVER:
                        wait_until(
                            f"{rule} is told", lambda each=rule: queue.of("resolve", each), 60
                        )
                    wait_until("signals arrive", lambda: members(last) == ["1"])
                    down, out, line = (queue.of("resolve", rule)[0] for rule in OVER)
                    for task in (down, out, line):
                        assert task["retrospective"]
                        assert task["state"] == "resolved"
                        # A sample is made when a process dies and when a line is written, and of
                        # all else every second.
                        assert began - 5 <= task["onset_at"] <= began + 2_000, task
                        assert task["evidence"]
                    for task in (down, out):
                        assert ended - 5 <= task["resolved_at"] <= ended + 2_000, task
                    (evidence,) = line["evidence"]
                    (event,) = (each for each in evidence["events"] if each["body"] == LINE)
                    assert line["onset_at"] == event["time"]
                    # A rule that looks back further finds that it holds still, since then.
                    (holds,) = last.tasks(rule="LogFatal", state=EVERY_STATE)
                    assert (holds["state"], holds["retrospective"]) == ("open", False)
                    assert holds["onset_at"] == event["time"]
                    for task in (down, out, line):
                        one = f"/api/tasks/{task['number']}"
                        wait_until(
                            "it is noted", lambda each=one: last.get(each).json()["delivered_at"]
                        )
                    kill(last.process)
                with running_collector(tmp_path, *arguments) as later:
                    wait_until("signals arrive", lambda: members(later) == ["1"], 40)
                    for task, rule in zip((down, out, line), OVER, strict=True):
                        tasks = later.tasks(rule=rule, state=EVERY_STATE)
                        assert [each["number"] for each in tasks] == [task["number"]]
                    text = later.get("/metrics").body.decode()
                    assert "forewarn_backlog_findings_total" in text
        for rule in OVER:
            assert queue.of("open", rule) == []
            assert len(queue.of("resolve", rule)) == 1
