"""What keeps a firing alert from opening a task: gates, and the holds that they give.

An alert that is held is not lost: a row says what holds it and since when, and if it still fires
when nothing holds it any more, its task opens then. An alert that is a member of an open task
already is not put out of it: while all of a task's alerts are held, the task is quiet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from forewarn_collector.rules.alerts import AlertState
from forewarn_wire import Labels


class HoldKind(StrEnum):
    """What holds an alert."""

    SILENCE = "silence"
    INHIBITION = "inhibition"
    WINDOW = "window"
    DEPENDENCY = "dependency"
    HOST_LOST = "host_lost"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class GatedAlert:
    """An alert as gates see it; `onset` in ms. `id` is that of its row in the ledger."""

    id: str
    rule_key: str
    labels: Labels
    state: AlertState
    onset: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an alert may not open a task now.

    `ref` names what holds it: a silence's id, a window's name, the id of the alert that stands in
    the way (inhibition, dependency, lost host), a task's number. `text` says it for people, as in
    "silenced by ann until 14:00: upgrade". `until` (ms) is when it ends, where that is known.
    """

    kind: HoldKind
    ref: str
    text: str
    until: int | None = None

    @property
    def by(self) -> str:
        """What holds it, in two words."""
        return f"{self.kind.value} {self.ref}"


class Gate(Protocol):
    """One kind of hold. Called often, from several threads, within no transaction."""

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """One answer for each alert of `asked`, in order, as of `at` (ms).

        `firing` are all alerts that fire or are unknown, those of `asked` among them. Must not read
        the ledger, block or raise. What it says must follow from `at`, the alerts, and what it was
        told before: the same is asked again after a crash.
        """


def first_holds(
    gates: Sequence[Gate],
    asked: Sequence[GatedAlert],
    firing: Collection[GatedAlert],
    at: int,
) -> dict[str, Hold]:
    """The hold of the first gate that holds each alert, by the alert's id."""
    found: dict[str, Hold] = {}
    for gate in gates:
        rest = [alert for alert in asked if alert.id not in found]
        if not rest:
            break
        for alert, hold in zip(rest, gate.holds(rest, firing, at), strict=True):
            if hold is not None:
                found[alert.id] = hold
    return found


Verdicts = Mapping[str, Hold]
"""The holds of alerts now, by the alert's id; an alert that is not in it is held by no gate."""
