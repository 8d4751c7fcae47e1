"""The holds of alerts in one transaction: which begin, which end, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from forewarn_collector.tasks.gates import Hold
from forewarn_wire import Labels


class HoldOutcome(StrEnum):
    """What came of an alert when its hold ended."""

    OPENED = "opened"
    """It fired still: its task opened, or it joined one."""
    ALERT_ENDED = "alert_ended"
    REPLACED = "replaced"
    """Something else holds it now."""


@dataclass(frozen=True, slots=True)
class HeldAlert:
    """One alert held by one thing for a time (ms). `row` is 0 until it is written."""

    alert_id: str
    rule_key: str
    labels: Labels
    hold: Hold
    since: int
    ended_at: int | None = None
    outcome: str = ""
    row: int = 0


class HoldBook:
    """The holds of the alerts of one transaction, as far as loaded; of each the last is current."""

    def __init__(self, known: Iterable[HeldAlert] = ()) -> None:
        self._held: dict[str, list[HeldAlert]] = {}
        self._touched: set[tuple[str, int]] = set()
        for held in known:
            self._held.setdefault(held.alert_id, []).append(held)

    def current(self, alert_id: str) -> HeldAlert | None:
        """What holds an alert now."""
        held = self._held.get(alert_id)
        return held[-1] if held and held[-1].ended_at is None else None

    def hold(self, alert_id: str, rule_key: str, labels: Labels, hold: Hold, at: int) -> bool:
        """The alert is held by this; whether it was held by nothing or something else before."""
        current = self.current(alert_id)
        if current is not None:
            if (current.hold.kind, current.hold.ref) == (hold.kind, hold.ref):
                if current.hold != hold:
                    self._put(replace(current, hold=hold))
                return False
            self._put(replace(current, ended_at=at, outcome=HoldOutcome.REPLACED.value))
        held = self._held.setdefault(alert_id, [])
        held.append(HeldAlert(alert_id, rule_key, labels, hold, at))
        self._touched.add((alert_id, len(held) - 1))
        return True

    def release(self, alert_id: str, outcome: HoldOutcome, at: int) -> Sequence[HeldAlert]:
        """End what holds an alert; all that held it one after the other, none if nothing did."""
        current = self.current(alert_id)
        if current is None:
            return ()
        self._put(replace(current, ended_at=at, outcome=outcome.value))
        chain: list[HeldAlert] = []
        for held in reversed(self._held[alert_id]):
            if chain and held.outcome != HoldOutcome.REPLACED:
                break
            chain.insert(0, held)
        return chain

    def of(self, alert_id: str) -> list[HeldAlert]:
        """What has held an alert, as far as loaded."""
        return list(self._held.get(alert_id, ()))

    def touched(self) -> list[HeldAlert]:
        """What is new or has changed."""
        return [self._held[alert_id][place] for alert_id, place in sorted(self._touched)]

    def _put(self, held: HeldAlert) -> None:
        self._held[held.alert_id][-1] = held
        self._touched.add((held.alert_id, len(self._held[held.alert_id]) - 1))
