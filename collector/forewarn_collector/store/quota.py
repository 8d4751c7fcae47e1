"""How many series may be active, in all and of each value of one label; known ones are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from forewarn_wire import Labels

ACTIVE = 3_600_000
"""A series is active if it has a sample of the last hour (ms)."""
_COUNT_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class SeriesLimits:
    """`most` series in all, `by_value[v]` of those whose `label` is `v`; 0 is without limit."""

    most: int = 0
    label: str = "customer"
    by_value: Mapping[str, int] = field(default_factory=dict)


class SeriesQuota:
    """Decides on new series, by counts that are a few seconds old and what was added since."""

    def __init__(self, limits: SeriesLimits, count: Callable[[str, int], int]) -> None:
        """`count(value, since)`: the series active since a time (ms), with that value or all."""
        self._limits = limits
        self._count = count
        self._active: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    @property
    def label(self) -> str:
        """The label whose values have limits of their own."""
        return self._limits.label

    @property
    def unlimited(self) -> bool:
        """Whether nothing is ever refused."""
        return not self._limits.most and not any(self._limits.by_value.values())

    def refusal(self, labels: Labels, now: int) -> str:
        """Why one more series with these labels is refused; empty, and counted, where it is not."""
        value = next((text for name, text in labels if name == self._limits.label), "")
        bounds = [("", self._limits.most)]
        if value:
            bounds.append((value, self._limits.by_value.get(value, 0)))
        limited = [(which, most) for which, most in bounds if most]
        for which, most in limited:
            if self._now_active(which, now) >= most:
                of_whom = f" of {self._limits.label} {which}" if which else ""
                return (
                    f"{most} series{of_whom} are active, which is the limit: new ones are refused,"
                    " known ones are kept"
                )
        for which, _ in limited:
            self._active[which] += 1
        return ""

    def _now_active(self, which: str, now: int) -> int:
        counted = self._counted.get(which)
        if counted is None or not 0 <= now - counted < _COUNT_EVERY:
            self._counted[which] = now
            self._active[which] = self._count(which, now - ACTIVE)
        return self._active[which]
