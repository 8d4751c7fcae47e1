"""A real agent that is cut off: what came and went meanwhile becomes one task, for the record."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from support.receiver import receiving
from support.servers import RunningCollector, free_port, running, running_agent, running_collector
from support.waiting import wait_until

CONFIG = """\
queues:
  support: {{kind: webhook, url: '{url}'}}
"""
AGENT = """\
instance: host-1
interval: 1s
processes:
  - {name: victim, cmdline: ['victim-of-the-partition']}
"""
VICTIM = [sys.executable, "-c", "import time; time.sleep(600)", "victim-of-the-partition"]
DOWN = "ProcessGroupDown"
EVERY_STATE = ["open", "acknowledged", "resolved"]
LATE = 62_000
"""Samples count as late from an age of 60 s on."""


def now() -> int:
    return int(time.time() * 1000)


def members(collector: RunningCollector) -> list[str]:
    query = 'namedprocess_namegroup_num_procs{groupname="victim"}'
    return [row["value"][1] for row in collector.query(query)]


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_process_that_died_and_returned_offline_becomes_one_task_though_the_collector_is_killed(
    tmp_path: Path,
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    agent_log = tmp_path / "agent.log"
    with receiving() as queue:
        config = tmp_path / "collector.yml"
        config.write_text(CONFIG.format(url=queue.url))
        arguments = ("--config", str(config), "--listen", listen)
        with (
            running(VICTIM, tmp_path / "victim.log") as victim,
            running_collector(tmp_path, *arguments) as collector,
            running_agent(tmp_path, f"http://{listen}", AGENT, token_file=collector.data / "token"),
        ):
            wait_until("the victim is seen", lambda: members(collector) == ["1"])
            kill(collector.process)
            wait_until("the agent is cut off", lambda: "cannot send" in agent_log.read_text())
            died = now()
            kill(victim)
            wait_until("it is gone for five seconds", lambda: now() > died + 5_000)
            with running(VICTIM, tmp_path / "victim.log"):
                returned = now()
                wait_until("that is long ago", lambda: now() > returned + LATE, 90, 0.5)
                with running_collector(tmp_path, *arguments) as again:
                    wait_until("the backlog comes", lambda: "comes late" in again.output, 40)
                    kill(again.process)
                with running_collector(tmp_path, *arguments) as last:
                    (task,) = wait_until("the task is told", lambda: queue.of("resolve", DOWN), 60)
                    wait_until("signals arrive", lambda: members(last) == ["1"])
                    assert task["retrospective"]
                    assert task["state"] == "resolved"
                    # A sample is made when the process dies, and every second.
                    assert died - 5 <= task["onset_at"] <= died + 2_000
                    assert returned - 5 <= task["resolved_at"] <= returned + 2_000
                    assert task["evidence"]
                    one = f"/api/tasks/{task['number']}"
                    wait_until("that is noted", lambda: last.get(one).json()["delivered_at"])
                    kill(last.process)
                with running_collector(tmp_path, *arguments) as later:
                    wait_until("signals arrive", lambda: members(later) == ["1"], 40)
                    tasks = later.tasks(rule=DOWN, state=EVERY_STATE)
                    assert [each["number"] for each in tasks] == [task["number"]]
                    text = later.get("/metrics").body.decode()
                    assert "forewarn_backlog_findings_total" in text
        assert queue.of("open", DOWN) == []
        assert len(queue.of("resolve", DOWN)) == 1
