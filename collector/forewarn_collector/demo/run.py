"""The demo's story: start everything, break the shop, see the task, mend it, see it resolve."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from forewarn_collector.demo.processes import DemoError, Program, wait_for
from forewarn_collector.demo.receiver import DemoQueue
from forewarn_wire.clock import Clock

SHOP_DOWN = "ProcessGroupDown"
_RESTART_SECONDS = 20

_BEFORE = "4s"
"""How long the shop is watched before it breaks."""
_AGENT = """\
collector: {collector}
instance: demo-host
interval: 1s
spool: {{path: {folder}/spool}}
processes:
  - name: shop
    cmdline: ['forewarn_collector[.]demo[.]shop {port} ']
checks:
  - name: shop
    url: http://127.0.0.1:{port}/
    interval: 1s
    timeout: 1s
logs:
  - name: shop
    paths: ['{folder}/shop.log']
    patterns:
      - {{name: critical, regex: ' CRITICAL ', severity: fatal}}
"""

_COLLECTOR = """\
listen: 127.0.0.1:{port}
data: {data}
queues:
  support: {{kind: webhook, url: '{url}'}}
default_queue: support
"""


class Demo:
    """What runs during the demo; everything lives in a folder of its own, on loopback."""

    def __init__(self, clock: Clock, folder: Path, port: int) -> None:
        self._clock = clock
        self._folder = folder
        self._port = port
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = clock()
        self._shop_port = 0
        self._programs: list[Program] = []
        self.queue = DemoQueue(clock)
        self.base = ""

    def now(self) -> int:
        """Milliseconds since epoch."""
        return self._clock()

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        seconds = (self._clock() - self._started) / 1000
        self._console.print(f"[dim]{seconds:6.2f}s[/]  {text}")

    def start(self) -> None:
        """Start collector, shop and agent, and wait until the first signals are in."""
        self._start_collector()
        shop = self.start_shop()
        self.say(f"[bold]shop[/]       http://127.0.0.1:{self._shop_port}/ (pid {shop})")
        config = self._folder / "agent.yml"
        config.write_text(
            _AGENT.format(
                collector=self.base,
                folder=self._folder,
                port=self._shop_port,
            )
        )
        agent = Program("agent", "forewarn_agent", ["--config", str(config)], self._folder)
        self._programs.append(agent)
        self.say("[bold]agent[/]      watches this machine and the shop, every second")
        # Some seconds of them, so that the plot shows how it was before.
        query = f'namedprocess_namegroup_num_procs{{groupname="shop"}} offset {_BEFORE} == 1'
        wait_for("the agent's first signals", lambda: self._has(query), self._programs)

    def _start_collector(self) -> None:
        config = self._folder / "collector.yml"
        config.write_text(
            _COLLECTOR.format(port=self._port, data=self._folder / "data", url=self.queue.url)
        )
        # Whoever tries the page is to handle tasks at once: only this machine reaches it.
        arguments = ["serve", "--config", str(config), "--no-auth"]
        collector = Program("collector", "forewarn_collector", arguments, self._folder)
        self._programs.append(collector)
        marker = "listening on "

        def address() -> str | None:
            for line in collector.output.read_text().splitlines():
                if marker in line:
                    return line.partition(marker)[2].split()[0]
            return None

        self.base = wait_for("the collector", address, self._programs)
        self.say(f"[bold]collector[/]  {self.base}")
        self.say(f"[bold]queue[/]      a webhook receiver at {self.queue.url}")

    def start_shop(self) -> int:
        """Start the shop, on the same port each time; returns its process id."""
        self._programs = [program for program in self._programs if program.name != "shop"]
        arguments = [str(self._shop_port or _free_port()), str(self._folder / "shop.log")]
        shop = Program("shop", "forewarn_collector.demo.shop", arguments, self._folder)
        self._shop_port = int(arguments[0])
        self._programs.append(shop)

        def ready() -> bool | None:
            return b"ready" in shop.output.read_bytes() or None

        wait_for("the shop", ready, [shop])
        return shop.process.pid

    def kill_shop(self) -> int:
        """Kill the shop as a crash would; returns when (ms)."""
        shop = self._shop()
        at = self._clock()
        os.kill(shop.process.pid, signal.SIGKILL)
        shop.process.wait()
        return at

    def shop_is_down(self) -> bool:
        """Whether the shop has ended."""
        return self._shop().process.poll() is not None

    def delivery(self, action: str, after: int) -> tuple[int, dict[str, Any]]:
        """Wait for the queue to get this action for the shop; returns (arrival in ms, task)."""
        others = [program for program in self._programs if program.name != "shop"]

        def arrived() -> tuple[int, dict[str, Any]] | None:
            for at, body in list(self.queue.received):
                task = body["task"]
                if at >= after and body["action"] == action and task["rule"].endswith(SHOP_DOWN):
                    return at, task
            return None

        return wait_for(f"the queue to be told to {action}", arrived, others)

    def stop(self) -> None:
        """End everything, the last started first."""
        for program in reversed(self._programs):
            program.stop()
        self.queue.close()

    def check(self) -> None:
        """Raise DemoError if the collector or the agent has ended."""
        for program in self._programs:
            if program.name != "shop":
                program.check()

    def hints(self) -> None:
        """Say what to open and what to try."""
        command = shlex.quote(str(Path(sys.executable).parent / "forewarn"))
        lines = (
            "",
            f"Open the page:      {self.base}/",
            f"Query it:           curl '{self.base}/api/v1/query?query=up'",
            "Try, in another terminal:",
            f"  break the shop    kill -9 {self._shop().process.pid}",
            f"  a fatal log line  curl http://127.0.0.1:{self._shop_port}/fail",
            f"  the tasks         FOREWARN_SERVER={self.base} {command} tasks list --all",
            f"Everything is in {self._folder}; Ctrl-C ends the demo and removes it.",
            "",
        )
        for line in lines:
            self._console.print(escape(line))

    def _shop(self) -> Program:
        return next(program for program in self._programs if program.name == "shop")

    def _has(self, query: str) -> bool | None:
        body = urllib.parse.urlencode({"query": query}).encode()
        try:
            with urllib.request.urlopen(f"{self.base}/api/v1/query", body, timeout=5) as answer:  # noqa: S310
                return bool(json.load(answer)["data"]["result"]) or None
        except urllib.error.URLError:
            return None


def run_demo(clock: Clock, *, once: bool, port: int) -> int:
    """Run the demo; returns the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="forewarn-demo-"))
    demo = Demo(clock, folder, port if not once and _is_free(port) else 0)
    # Ended by a signal, the demo still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.start()
        _tell_once(demo)
        if not once:
            demo.hints()
            _keep_running(demo)
    except DemoError as error:
        demo.say(f"[red]{escape(str(error))}[/]")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        demo.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _tell_once(demo: Demo) -> None:
    broken = demo.kill_shop()
    demo.say("[red]the shop crashes[/] (kill -9)")
    arrived, task = demo.delivery("open", broken)
    demo.say(
        f"[bold]{task['number']} opens[/]: {escape(task['title'])}  "
        f"[bold green]onset to task {task['opened_at'] - task['onset_at']} ms[/], "
        f"crash to task {task['opened_at'] - broken} ms, to the queue {arrived - broken} ms"
    )
    pid = demo.start_shop()
    mended = demo.now()
    demo.say(f"[green]the shop is started again[/] (pid {pid})")
    arrived, task = demo.delivery("resolve", broken)
    demo.say(
        f"[bold]{task['number']} resolves[/] {task['resolved_at'] - mended} ms after the start, "
        f"known to the queue after {arrived - mended} ms"
    )


def _keep_running(demo: Demo) -> None:
    """Report what the queue gets, and start the shop again a while after it was broken."""
    told = len(demo.queue.received)
    down_since: float | None = None
    while True:
        demo.check()
        for _, body in demo.queue.received[told:]:
            task = body["task"]
            demo.say(f"queue: {body['action']} [bold]{task['number']}[/] {escape(task['title'])}")
            told += 1
        if not demo.shop_is_down():
            down_since = None
        elif down_since is None:
            down_since = time.monotonic()
            demo.say(f"the shop is down; the demo starts it again in {_RESTART_SECONDS} s")
        elif time.monotonic() - down_since > _RESTART_SECONDS:
            demo.say(f"the shop is started again (pid {demo.start_shop()})")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
