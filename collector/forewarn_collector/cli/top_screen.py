"""What `forewarn top` shows: read from a collector, and drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from forewarn_collector.cli.client import Client
from forewarn_collector.cli.tables import printable
from forewarn_collector.cli.times import clock_time
from forewarn_collector.tasks import STANDING, TaskOrder
from forewarn_wire.durations import format_duration

COLOURS = {"critical": "bold red", "high": "dark_orange", "medium": "yellow", "low": "green"}
_RANKS = {name: rank for rank, name in enumerate(COLOURS)}
_MOST = 1_000
_QUERIES = {
    "cpu": '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m])))',
    "memory": "100 * max by (instance) (1 - node_memory_MemAvailable_bytes / "
    "node_memory_MemTotal_bytes)",
    "disk": '100 * max by (instance) (1 - node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|'
    'squashfs|ramfs"} / node_filesystem_size_bytes)',
}
"""What is shown of a host, each in per cent, with the names that node_exporter gives too."""
_FULL = 90.0


@dataclass(frozen=True, slots=True)
class Host:
    """A host: whether its agent reports, its worst task, and how full it is in per cent."""

    name: str
    up: bool
    tasks: int
    severity: str
    cpu: float | None
    memory: float | None
    disk: float | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the collector said at a time (ms)."""

    at: int
    tasks: Sequence[Mapping[str, Any]]
    total: int
    hosts: Sequence[Host]

    def to_json(self) -> str:
        """All of it, for a program."""
        hosts = [asdict(host) for host in self.hosts]
        return json.dumps({"at": self.at, "tasks": list(self.tasks), "hosts": hosts}, indent=2)


@dataclass(frozen=True, slots=True)
class Screen:
    """The picture; `rows` is the terminal's height, 0 for all there is. `first` is scrolled to."""

    seen: Seen
    rows: int
    shown: tuple[str, ...] = ("tasks", "hosts")
    first: int = 0
    trouble: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._head()
        if self.trouble:
            ago = f"shown is {clock_time(self.seen.at)}"
            yield Text(f" {printable(self.trouble)}; {ago} ", style="white on red")
        room = self.rows - 4 - bool(self.trouble) if self.rows else _MOST
        if "tasks" in self.shown:
            share = room if len(self.shown) == 1 else max(3, room * 3 // 5)
            wanted = max(1, len(self.seen.tasks))
            if len(self.shown) > 1:
                share = max(share, room - len(self.seen.hosts) - 3)
            yield self._tasks(min(wanted, share - 1))
            room -= min(wanted, share - 1) + 2
            if len(self.shown) > 1:
                yield Text()
        if "hosts" in self.shown:
            yield self._hosts(max(1, room - 1))

    def _head(self) -> Text:
        seen = self.seen
        counts = dict.fromkeys(COLOURS, 0)
        for task in seen.tasks:
            counts[task["severity"]] = counts.get(task["severity"], 0) + 1
        silent = sum(not host.up for host in seen.hosts)
        head = Text("Forewarn", style="bold")
        head.append(f"  {seen.total} open", style="bold" if seen.total else "green")
        for name, count in counts.items():
            if count:
                head.append(
                    f"  {count} {printable(name) or 'without severity'}", COLOURS.get(name, "")
                )
        count = len(seen.hosts)
        head.append(f"   {count} host{'' if count == 1 else 's'}")
        if silent:
            head.append(f", {silent} silent", style="red")
        head.append(f"   {clock_time(seen.at)}", style="dim")
        if self.rows:
            head.append("   q t h a j k", style="dim")
        return head

    def _tasks(self, most: int) -> Table | Text:
        if not self.seen.tasks:
            return Text("No open tasks: nothing needs anybody now.", style="green")
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        for title, ratio in (
            *((title, None) for title in ("TASK", "SEVERITY", "STATE", "SINCE", "DUE", "HOST")),
            ("WHAT IS WRONG", 1),
        ):
            table.add_column(title, no_wrap=True, overflow="ellipsis", ratio=ratio)
        start = min(self.first, max(0, len(self.seen.tasks) - most))
        for task in self.seen.tasks[start : start + most]:
            table.add_row(
                task["number"],
                Text(printable(task["severity"] or "-"), COLOURS.get(task["severity"], "")),
                task["state"].replace("_", " "),
                _span(self.seen.at - task["onset_at"]),
                _due(task["due_at"], self.seen.at),
                Text(printable(task["labels"].get("instance", "-"))),
                Text(printable(task["title"]).replace("\n", " ")),
            )
        return table

    def _hosts(self, most: int) -> Table | Text:
        if not self.seen.hosts:
            return Text("No hosts yet: install the agent on one, docs/sysadmins.md.", style="dim")
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        table.add_column("HOST", no_wrap=True, overflow="ellipsis", ratio=1)
        for title in ("AGENT", "TASKS", "CPU", "MEMORY", "FULLEST DISK"):
            table.add_column(title, justify="right", no_wrap=True)
        start = min(self.first, max(0, len(self.seen.hosts) - most))
        for host in self.seen.hosts[start : start + most]:
            table.add_row(
                Text(printable(host.name)),
                Text("reports", "green") if host.up else Text("silent", "bold red"),
                Text(str(host.tasks or "-"), COLOURS.get(host.severity, "")),
                _bar(host.cpu),
                _bar(host.memory),
                _bar(host.disk),
            )
        return table


def look(client: Client, customer: str, now: int) -> Seen:
    """Ask the collector. Raises CallError."""
    query: dict[str, str | list[str]] = {
        "state": [state.value for state in STANDING],
        "sort": TaskOrder.WORST.value,
        "limit": str(_MOST),
    }
    if customer:
        query["customer"] = customer
    answer = client.get("/api/tasks", query)
    tasks = sorted(
        answer["tasks"],
        key=lambda task: (_rank(task["severity"]), task["due_at"] or math.inf, task["onset_at"]),
    )
    targets = client.get("/api/v1/targets", {"state": "active"})["data"]["activeTargets"]
    measured = {name: _values(client, query) for name, query in _QUERIES.items()}
    worst: dict[str, list[str]] = {}
    for task in tasks:
        worst.setdefault(task["labels"].get("instance", ""), []).append(task["severity"])
    hosts = [
        Host(
            name=name,
            up=target["health"] == "up",
            tasks=len(worst.get(name, ())),
            severity=min(worst.get(name, [""]), key=_rank),
            cpu=measured["cpu"].get(name),
            memory=measured["memory"].get(name),
            disk=measured["disk"].get(name),
        )
        for target in targets
        if customer in ("", target["labels"].get("customer", ""))
        for name in [target["labels"].get("instance", "")]
    ]
    hosts.sort(key=lambda host: (host.up, _rank(host.severity), -(host.cpu or 0), host.name))
    return Seen(now, tasks, answer["total"], hosts)


def _values(client: Client, query: str) -> dict[str, float]:
    found = client.get("/api/v1/query", {"query": query})["data"]["result"]
    return {each["metric"].get("instance", ""): float(each["value"][1]) for each in found}


def _rank(severity: str) -> int:
    return _RANKS.get(severity, len(_RANKS))


def _span(milliseconds: int) -> str:
    """The two largest units of a duration."""
    seconds = max(0, milliseconds) // 1000
    for unit, step in ((86_400, 3_600), (3_600, 60), (60, 1)):
        if seconds >= unit:
            return format_duration(seconds // step * step * 1000)
    return format_duration(seconds * 1000)


def _due(due_at: int | None, now: int) -> Text:
    if due_at is None:
        return Text("-")
    left = due_at - now
    return Text(_span(left)) if left > 0 else Text(f"{_span(-left)} late", "bold red")


def _bar(value: float | None) -> Text:
    if value is None or not math.isfinite(value):
        return Text("-", "dim")
    filled = min(8, max(0, round(value / 100 * 8)))
    style = "red" if value >= _FULL else "green" if value < 75 else "yellow"
    return Text.assemble(("█" * filled, style), ("░" * (8 - filled), "dim"), f" {value:3.0f}%")
