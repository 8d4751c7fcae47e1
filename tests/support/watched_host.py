"""A collector and the real agent of one host, whose software breaks and is mended at will."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.receiver import Receiver, receiving
from support.servers import RunningCollector, running, running_agent, running_collector, stop
from support.waiting import wait_until

HOST = "host-1"
DOWN = "ProcessGroupDown"
_ROLES = ("viewer", "operator", "admin")
_COLLECTOR = """\
queues:
  support: {{kind: webhook, url: '{url}'}}
default_queue: support
tokens:
"""
_AGENT = """\
instance: host-1
interval: 1s
processes:
  - {{name: shop, cmdline: ['{shop}']}}
logs:
  - name: shop
    paths: ['{folder}/shop.log']
    patterns:
      - {{name: critical, regex: ' CRITICAL ', severity: fatal}}
"""
_SHOP = [sys.executable, "-c", "import time; time.sleep(600)"]


@dataclass
class WatchedHost:
    """The collector, tokens by role, what the queue took, and the software that may break."""

    collector: RunningCollector
    tokens: dict[str, str]
    queue: Receiver
    folder: Path
    shop: str
    """What only this shop has on its command line."""
    _shop: subprocess.Popen[bytes] | None = field(default=None)
    _all: ExitStack = field(default_factory=ExitStack)

    def start_shop(self) -> None:
        """Start what the agent watches; returns once the collector knows of it."""
        log = self.folder / "shop-process.log"
        self._shop = self._all.enter_context(running([*_SHOP, self.shop], log))
        of_shop = 'groupname="shop"'
        query = (
            f"namedprocess_namegroup_num_procs{{{of_shop}}} == 1 and on(groupname)"
            f' namedprocess_namegroup_memory_bytes{{{of_shop}, memtype="resident"}} > 0'
        )
        wait_until("the shop is seen", lambda: self.collector.query(query))

    def break_shop(self) -> dict[str, Any]:
        """Kill it, with a word in its log; returns the task, with its evidence."""
        with (self.folder / "shop.log").open("a") as log:
            log.write("2026-11-28 12:00:00 CRITICAL out of memory, giving up\n")
        assert self._shop is not None
        stop(self._shop)
        return wait_until("the task", self.broken)

    def mended(self, number: str) -> None:
        """Wait until the alerts of a task have ended."""

        def ended() -> bool:
            members = self.collector.get(f"/api/tasks/{number}").json()["members"]
            return all(member["left_at"] is not None for member in members)

        wait_until(f"the end of {number}", ended)

    def broken(self) -> dict[str, Any] | None:
        """The task of the shop that stands, if there is one."""
        standing = ["open", "acknowledged", "in_progress", "waiting"]
        tasks = self.collector.tasks(rule=DOWN, instance=HOST, state=standing)
        if not tasks:
            return None
        whole: dict[str, Any] = self.collector.get(f"/api/tasks/{tasks[0]['number']}").json()
        return whole


@contextmanager
def watched_host(folder: Path) -> Iterator[WatchedHost]:
    """A collector with the rules that ship, tokens of each role, a queue, and a real agent."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.log").touch()
    with ExitStack() as all_of_it:
        queue = all_of_it.enter_context(receiving())
        tokens = {role: f"secret-of-the-{role}-{uuid.uuid4()}" for role in _ROLES}
        config = _COLLECTOR.format(url=queue.url)
        for role, token in tokens.items():
            file = folder / f"{role}.token"
            file.write_text(token)
            config += f"  - {{name: the-{role}, token_file: {file}, role: {role}}}\n"
        (folder / "collector.yml").write_text(config)
        collector = all_of_it.enter_context(
            running_collector(folder, "--config", str(folder / "collector.yml"))
        )
        shop = f"shop-{uuid.uuid4()}"
        agent = _AGENT.format(folder=folder, shop=shop)
        all_of_it.enter_context(
            running_agent(folder, collector.url, agent, token_file=collector.data / "token")
        )
        host = WatchedHost(collector, tokens, queue, folder, shop, _all=all_of_it)
        host.start_shop()
        yield host
