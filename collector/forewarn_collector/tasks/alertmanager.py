"""Alertmanager's place: silences, inhibition, routes and received alerts, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.silencing import RESOLVE_TIMEOUT, AlertmanagerFile, Route
from forewarn_collector.tasks.board import Board
from forewarn_collector.tasks.gates import Gate, GatedAlert, Hold
from forewarn_collector.tasks.inhibitions import Inhibitions
from forewarn_collector.tasks.keeper import TaskKeeper
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.placing import Place, Placing
from forewarn_collector.tasks.policy import RuleLookup
from forewarn_collector.tasks.received import ReceivedAlerts
from forewarn_collector.tasks.routing import ByOrigin, ByRoutes, RouteTimes
from forewarn_collector.tasks.silences import Silences
from forewarn_wire import Labels

_ALONE = "none"


class AlertmanagerPlace:
    """The parts, made of an alertmanager.yml or, without one, of what holds by default.

    `queues` says which queues take the tasks of each receiver, `default_queue` those of rules that
    name none where there is no file. All that the file says may change while it runs.
    """

    def __init__(
        self,
        ledger: Ledger,
        file: AlertmanagerFile | None,
        queues: Mapping[str, Sequence[str]],
        default_queue: str,
        rule_of: RuleLookup,
        external_url: str,
    ) -> None:
        self._ledger = ledger
        self._receiver = default_queue or _ALONE
        self._own_rule_of = rule_of
        self._external_url = external_url
        self.silences = Silences(ledger)
        self.received = ReceivedAlerts(ledger)
        self.take(file, queues)

    def take(self, file: AlertmanagerFile | None, queues: Mapping[str, Sequence[str]]) -> None:
        """Go by another file from now on.

        Alerts of open tasks stay where they are; the next tick asks the gates anew.
        """
        self._file = file
        self._queues = queues
        self.resolve_timeout = RESOLVE_TIMEOUT if file is None else file.resolve_timeout
        # Grouped by all labels, as tasks are without a file, up to severity.
        self.root = Route(self._receiver, group_by=None) if file is None else file.route
        self.inhibitions = Inhibitions(() if file is None else file.inhibit_rules)
        self.times = RouteTimes(self.root, {} if file is None else file.intervals)
        self.board = Board(
            self._ledger,
            self.received,
            self.silences,
            self.inhibitions,
            self.times,
            self.root,
            self.resolve_timeout,
            self.rule_of,
            self._external_url,
        )

    def load(self) -> None:
        """Read what the ledger knows; before anything else. Raises LedgerError."""
        self.silences.load()
        self.received.load()

    def tick(self, keeper: TaskKeeper, at: int) -> None:
        """Once a second: what others silenced, and what ended by time (ms). Raises LedgerError."""
        self.silences.load()
        self.received.settle(keeper, at)

    @property
    def gates(self) -> tuple[Gate, ...]:
        """What holds alerts, in the order in which Alertmanager asks."""
        return _Current(lambda: self.inhibitions), self.silences, _Current(lambda: self.times)

    @property
    def receivers(self) -> tuple[str, ...]:
        """The names of the receivers."""
        return (self._receiver,) if self._file is None else tuple(self._file.receivers)

    @property
    def shown(self) -> str:
        """The configuration as it may be shown, in the form of an alertmanager.yml."""
        if self._file is not None:
            return self._file.shown
        return (
            f"route:\n  receiver: {self._receiver}\n  group_by: ['...']\n"
            f"receivers:\n- name: {self._receiver}\n"
        )

    def placing(self, inner: Placing) -> Placing:
        """Where alerts belong; `inner` where the routes have no say."""
        return ByOrigin(_CurrentPlacing(lambda: self._by_routes(inner)))

    def _by_routes(self, inner: Placing) -> Placing:
        return (
            inner
            if self._file is None
            else ByRoutes(inner, self.root, self._queues, self.times.is_mute)
        )

    def moved(self, firing: Iterable[GatedAlert]) -> list[str]:
        """The ids of alerts that more queues may be told of now."""
        return self.times.moved(firing)

    def rule_of(self, key: str) -> AlertingRule | None:
        """The rule of a key, of the rule files or known by its alerts only."""
        return self._own_rule_of(key) or self.received.rule_of(key)


@dataclass(frozen=True, slots=True)
class _Current:
    """The gate that the file in force asks for."""

    gate: Callable[[], Gate]

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """The gate."""
        return self.gate().holds(asked, firing, at)


@dataclass(frozen=True, slots=True)
class _CurrentPlacing:
    """Where alerts belong by the file in force."""

    inner: Callable[[], Placing]

    def place(self, rule: AlertingRule, labels: Labels) -> Place:
        """See Placing."""
        return self.inner().place(rule, labels)
