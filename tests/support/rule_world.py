"""Rules in simulated time: a scheduler without a thread, a source in memory, a sink that tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forewarn_collector.rules.alerts import Alert, AlertChange
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.model import RuleSet
from forewarn_collector.rules.schedule import Scheduler
from support.memory_source import MemorySource


@dataclass
class Sink:
    """Keeps changes as a ledger does; `full` makes it refuse all, `refuses` those of a rule."""

    rounds: int = 0
    refuses: str = ""
    seen: list[str] = field(default_factory=list)
    alerts: dict[tuple[str, object], Alert] = field(default_factory=dict)
    full: bool = False

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        self.rounds += 1
        if self.full or self.refuses in {change.rule.name for change in changes}:
            raise OSError("disk full")
        for change in changes:
            self.seen.append(f"{change.rule.name} {change.after}: {change.reason.name}")
            self.alerts[change.rule.key, change.alert.labels] = change.alert


@dataclass(frozen=True)
class Stored:
    """An alert from a ledger."""

    rule_key: str
    alert: Alert


class World:
    """A scheduler without a thread: a test says when what is evaluated."""

    def __init__(self, folder: Path, text: str, restored: Sequence[Stored] = ()) -> None:
        self.folder = folder
        self.source = MemorySource()
        self.sink = Sink()
        self.now = 0
        self.scheduler = self.scheduler_of(self.rules(text), restored)

    def rules(self, text: str) -> RuleSet:
        file = self.folder / "rules.yml"
        file.write_text(text)
        return load_rules([file])

    def scheduler_of(self, rules: RuleSet, restored: Sequence[Stored] = ()) -> Scheduler:
        return Scheduler(
            rules,
            self.source,
            append=self.source.append,
            sink=self.sink,
            clock=lambda: self.now,
            arrivals=self.source.arrivals,
            restored=restored,
            external_url="http://here",
            has_series=self.source.has_series,
        )

    def evaluate(self, at: int, *groups: str) -> list[str]:
        """Evaluate groups, all if none is named; what the sink heard of meanwhile."""
        self.now = at
        before = len(self.sink.seen)
        keys = [
            status.group.key
            for status in self.scheduler.groups()
            if status.group.name in groups or not groups
        ]
        self.scheduler.evaluate_groups(keys, at)
        return self.sink.seen[before:]

    def recorded(self) -> list[tuple[str, int, float]]:
        """What rules stored, but for the series of alerts."""
        return [one for one in self.source.appended if not one[0].startswith("ALERTS")]

    def stored(self) -> list[Stored]:
        """What a ledger would give back after a restart."""
        return [
            Stored(key, alert)
            for (key, _), alert in self.sink.alerts.items()
            if alert.state != "inactive"
        ]

    def restart(self, text: str) -> None:
        """Kill the collector and start another on the same store and ledger."""
        self.scheduler = self.scheduler_of(self.rules(text), self.stored())

    def error(self, rule: str) -> str:
        """The last error of a rule."""
        found = [one for group in self.scheduler.groups() for one in group.rules]
        return next(one.last_error for one in found if one.rule.name == rule)

    def states(self) -> list[str]:
        return [alert.state.value for alert in self.scheduler.alerts()]


def group(rules: str, name: str = "g") -> str:
    body = "\n".join(f"      - {line}" for line in rules.strip().splitlines())
    return f"groups:\n  - name: {name}\n    rules:\n{body}\n"
