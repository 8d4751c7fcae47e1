"""Forewarn as a benchmark runs it: a collector with a webhook queue, and an agent."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.faults import Victim
from support.servers import RunningCollector, running_agent, running_collector

RULES = """\
groups:
  - name: victims
    rules:
      - alert: VictimDown
        expr: namedprocess_namegroup_num_procs{groupname=~"victim-.*"} == 0
      - alert: VictimLogError
        expr: increase(forewarn_events_total{log=~"victim-.*"}[5m]) > 0
"""


def agent_config(victims: Sequence[Victim]) -> str:
    """Watch each victim's process and log; all else, the interval of 10 s too, is the default."""
    lines = ["processes:"]
    for victim in victims:
        lines += [f"  - name: {victim.name}", f"    cmdline: ['^{victim.name} ']"]
    lines.append("logs:")
    for victim in victims:
        lines += [
            f"  - name: {victim.name}",
            f"    paths: ['{victim.log}']",
            "    patterns: [{name: error, regex: ' ERROR '}]",
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Forewarn:
    """A running collector and agent."""

    collector: RunningCollector
    agent: subprocess.Popen[bytes]
    agent_log: Path

    def watches(self, victims: int) -> bool:
        """Whether the collector has seen every victim healthy. AssertionError: no agent."""
        assert self.agent.poll() is None, f"the agent ended:\n{self.agent_log.read_text()}"
        query = 'count(namedprocess_namegroup_num_procs{groupname=~"victim-.*"} == 1)'
        values = [float(row["value"][1]) for row in self.collector.query(query)]
        return values == [float(victims)]


@contextmanager
def forewarn(folder: Path, url: str, victims: Sequence[Victim]) -> Iterator[Forewarn]:
    """A collector that delivers to `url` and an agent that watches the victims."""
    folder.mkdir(parents=True)
    (folder / "rules.yml").write_text(RULES)
    config = folder / "collector.yml"
    config.write_text(
        f"queues:\n  bench: {{kind: webhook, url: '{url}'}}\ndefault_queue: bench\n"
        f"rules: ['{folder / 'rules.yml'}']\n"
    )
    with (
        running_collector(folder / "collector", "--config", str(config)) as collector,
        running_agent(
            folder / "agent",
            collector.url,
            agent_config(victims),
            token_file=collector.data / "token",
        ) as agent,
    ):
        yield Forewarn(collector, agent, folder / "agent" / "agent.log")
