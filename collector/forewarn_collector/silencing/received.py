"""Alerts that come from outside, merged as Alertmanager merges them: the pure part.

Source: prometheus/alertmanager `api/v2/api.go` (postAlertsHandler), `provider/mem/mem.go` (Put),
`types/types.go` (Merge).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from forewarn_wire import Labels

RESOLVE_TIMEOUT = 300_000
"""How long (ms) an alert without an end fires without being sent again, unless configured."""


@dataclass(frozen=True, slots=True)
class ReceivedAlert:
    """An alert as it was posted, its times (ms) filled in.

    `timeout`: nobody said when it ends, so that `ends_at` is only as long as it is believed.
    """

    labels: Labels
    annotations: Labels
    starts_at: int
    ends_at: int
    updated_at: int
    generator_url: str = ""
    timeout: bool = False

    def is_over(self, now: int) -> bool:
        """Whether it has ended."""
        return self.ends_at <= now


def with_times(
    labels: Labels,
    annotations: Labels,
    starts_at: int | None,
    ends_at: int | None,
    generator_url: str,
    now: int,
    resolve_timeout: int,
) -> ReceivedAlert:
    """An alert posted at `now` (ms), of which start and end may be absent. Raises ValueError.

    Labels without a value are dropped.
    """
    if starts_at is None:
        starts_at = now if ends_at is None else ends_at
    timeout = ends_at is None
    if ends_at is None:
        ends_at = now + resolve_timeout
    kept = tuple(sorted(pair for pair in labels if pair[1]))
    if not kept:
        raise ValueError("at least one label pair required")
    if ends_at < starts_at:
        raise ValueError("start time must be before end time")
    return ReceivedAlert(
        kept, tuple(sorted(annotations)), starts_at, ends_at, now, generator_url, timeout
    )


def merged(known: Mapping[Labels, ReceivedAlert], new: ReceivedAlert, now: int) -> ReceivedAlert:
    """What an alert has become with what was posted last."""
    old = known.get(new.labels)
    if old is None or not _overlap(old, new):
        return new
    found = replace(new, starts_at=min(old.starts_at, new.starts_at))
    if new.is_over(now):
        if old.is_over(now):
            return replace(found, ends_at=max(old.ends_at, new.ends_at))
        return found
    # An end that somebody gave counts where it is the later one.
    if old.ends_at > new.ends_at and not old.timeout:
        return replace(found, ends_at=old.ends_at, timeout=False)
    return found


def _overlap(old: ReceivedAlert, new: ReceivedAlert) -> bool:
    return (old.starts_at < new.ends_at < old.ends_at) or (
        old.starts_at < new.starts_at < old.ends_at
    )
