"""The fleet as tiles: each host with what is known of it, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from forewarn_collector.ingest.agents import Agent
from forewarn_collector.tasks.host_tasks import HostKey, HostTasks
from forewarn_collector.tasks.identity import severity_rank

WELL = 5
"""The rank of a host without any task, below those of all severities."""
RANKS = ("critical", "high", "medium", "low", "none", "well")
_NOTHING = HostTasks(0, "")


@dataclass(frozen=True, slots=True)
class Tile:
    """A host. `rank` is an index of `RANKS`; `last_report` in ms."""

    name: str
    customer: str
    up: bool
    tasks: int
    rank: int
    last_report: int

    @property
    def kind(self) -> str:
        """What its colour says."""
        return RANKS[self.rank]

    @property
    def address(self) -> str:
        """Of its page."""
        return host_address(self.name, self.customer)

    @property
    def told(self) -> str:
        """All of it in a few words, for those who see no colours, and where the pointer is."""
        said = "nothing to do"
        if self.tasks:
            severity = "" if self.kind == "none" else f", the worst {self.kind}"
            said = f"{self.tasks} {'task' if self.tasks == 1 else 'tasks'}{severity}"
        return f"{self.name}: {said}{'' if self.up else '; its agent is silent'}"


def host_address(name: str, customer: str) -> str:
    """The address of a host's page."""
    return f"/hosts/{quote(name, safe=':')}" + (f"?customer={quote(customer)}" if customer else "")


def tiles(agents: Iterable[Agent], tasks: Mapping[HostKey, HostTasks]) -> list[Tile]:
    """A tile for each host of the agents: the worst first, then the silent, then by name."""
    found: dict[HostKey, Tile] = {}
    for agent in agents:
        labels = dict(agent.labels)
        key = labels.get("customer", ""), labels.get("instance", "")
        known = found.get(key)
        if known is not None and known.last_report >= agent.last_report:
            continue
        of_host = tasks.get(key, _NOTHING)
        found[key] = Tile(
            name=key[1],
            customer=key[0],
            up=agent.up,
            tasks=of_host.count,
            rank=min(severity_rank(of_host.worst), WELL - 1) if of_host.count else WELL,
            last_report=agent.last_report,
        )
    return sorted(found.values(), key=lambda tile: (tile.rank, tile.up, tile.customer, tile.name))


def matching(found: Sequence[Tile], text: str, customer: str, only: str) -> list[Tile]:
    """Those whose name has the text, of a customer, and that are `troubled` or `silent`."""
    needle = text.lower()
    return [
        tile
        for tile in found
        if needle in tile.name.lower()
        and customer in ("", tile.customer)
        and (only != "silent" or not tile.up)
        and (only != "troubled" or tile.tasks or not tile.up)
    ]
