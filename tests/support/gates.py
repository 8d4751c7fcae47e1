"""Gates for tests of what comes of holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind


class Silence:
    """Holds the alerts of one host until a time."""

    def __init__(self, host: str, until: int, kind: HoldKind = HoldKind.SILENCE) -> None:
        self._host = host
        self.until = until
        self._kind = kind

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> list[Hold | None]:
        hold = Hold(self._kind, "s1", "silenced by ann: upgrade", self.until)
        return [
            hold if at < self.until and dict(alert.labels)["instance"] == self._host else None
            for alert in asked
        ]
