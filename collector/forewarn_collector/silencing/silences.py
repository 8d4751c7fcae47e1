"""Silences, and what Alertmanager lets people do to them: the pure part.

Source: prometheus/alertmanager `silence/silence.go` (Set, canUpdate, expire, validateSilence). A
silence is history once it has begun: a change that would alter what it did ends it, and makes
another one with an id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from forewarn_collector.silencing.matchers import Matcher, matches_all

RETENTION = 120 * 3_600_000
"""How long (ms) an expired silence is kept: Alertmanager's --data.retention."""


class SilenceState(StrEnum):
    """Where a silence stands."""

    ACTIVE = "active"
    PENDING = "pending"
    EXPIRED = "expired"


class SilenceError(ValueError):
    """A silence that can't be set so; the text is Alertmanager's own."""


class NoSuchSilenceError(SilenceError):
    """There is no silence with this id."""

    def __init__(self) -> None:
        super().__init__("silence not found")


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that match all matchers are silent from `starts_at` to `ends_at` (ms)."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: int
    ends_at: int
    updated_at: int
    created_by: str
    comment: str

    def state(self, now: int) -> SilenceState:
        """Where it stands at a time (ms)."""
        if now < self.starts_at:
            return SilenceState.PENDING
        return SilenceState.EXPIRED if now >= self.ends_at else SilenceState.ACTIVE

    def to_json(self, now: int) -> dict[str, Any]:
        """The silence as our own API shows it at a time (ms)."""
        return {
            "id": self.id,
            "state": self.state(now).value,
            "matchers": [str(matcher) for matcher in self.matchers],
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "updated_at": self.updated_at,
            "created_by": self.created_by,
            "comment": self.comment,
        }

    def silences(self, labels: Mapping[str, str], now: int) -> bool:
        """Whether an alert with these labels is silent at a time (ms)."""
        active = self.state(now) is SilenceState.ACTIVE
        return active and matches_all(self.matchers, labels)


def set_silence(
    known: Mapping[str, Silence], given: Silence, now: int, new_id: str
) -> tuple[Silence, ...]:
    """The silences to write so that `given` holds; the last of them is what it has become.

    Without an id it is a new one. Raises NoSuchSilenceError for an id that is not known, and
    SilenceError for what makes no sense.
    """
    check_silence(given)
    before = known.get(given.id)
    if given.id and before is None:
        raise NoSuchSilenceError
    if before is not None and _keeps_history(before, given, now):
        return (replace(given, updated_at=now),)
    new = replace(given, id=new_id, starts_at=max(given.starts_at, now), updated_at=now)
    if before is None or before.state(now) is SilenceState.EXPIRED:
        return (new,)
    return expired(before, now), new


def expired(silence: Silence, now: int) -> Silence:
    """The silence ended now (ms); one that has ended stays as it is."""
    state = silence.state(now)
    if state is SilenceState.EXPIRED:
        return silence
    return replace(silence, starts_at=min(silence.starts_at, now), ends_at=now, updated_at=now)


def check_silence(silence: Silence) -> None:
    """Raise SilenceError for a silence of everything, of nothing, or of no time."""
    if not silence.matchers:
        raise SilenceError("silence invalid: at least one matcher required")
    if all(matcher.kind.is_equal and matcher.matches("") for matcher in silence.matchers):
        raise SilenceError("silence invalid: at least one matcher must not match the empty string")
    if silence.ends_at < silence.starts_at:
        raise SilenceError("silence invalid: end time must not be before start time")


def sorted_silences(silences: Sequence[Silence], now: int) -> list[Silence]:
    """Active ones first, the next to end first; then what starts next; then what ended last."""

    def order(silence: Silence) -> tuple[int, int, str]:
        state = silence.state(now)
        if state is SilenceState.ACTIVE:
            return 1, silence.ends_at, silence.id
        if state is SilenceState.PENDING:
            return 2, silence.starts_at, silence.id
        return 3, -silence.ends_at, silence.id

    return sorted(silences, key=order)


def _keeps_history(before: Silence, after: Silence, now: int) -> bool:
    """Whether the change alters nothing of what the silence has done."""
    if before.matchers != after.matchers:
        return False
    state = before.state(now)
    if state is SilenceState.ACTIVE:
        # Alertmanager compares whole seconds: amtool and Grafana send back what they were shown.
        same_start = before.starts_at // 1000 == after.starts_at // 1000
        return same_start and after.ends_at >= now
    return state is SilenceState.PENDING and after.starts_at >= now
