"""What a backtest is asked, how far it is, and what came of its rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

EXACT = 1
"""The resolution (ms) at which rules are evaluated whenever the collector would."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time over which rules are replayed: `start` to `end` (ms), both included."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a span must not end ({self.end}) before it starts ({self.start})")

    @property
    def length(self) -> int:
        """How many ms it is long."""
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backtest is.

    `done` of `total` are ms of simulated time x rules; `at` (ms) is the newest instant up to which
    all rules are through.
    """

    done: int
    total: int
    at: int


Watch = Callable[[Progress], None]
"""Hears of progress; what it raises ends the backtest."""


@dataclass(slots=True)
class RuleOutcome:
    """How the evaluations of one rule went; `first_failed` (ms) is when `error` came first."""

    evaluations: int = 0
    failures: int = 0
    error: str = ""
    first_failed: int | None = None

    def failed(self, error: str, at: int, times: int) -> None:
        """Note that the rule failed at `at` (ms) and, in the same way, so many times in all."""
        self.failures += times
        if self.first_failed is None or at < self.first_failed:
            self.error, self.first_failed = error, at


@dataclass(slots=True)
class Replayed:
    """What came of a replay.

    `outcomes` are those of the rules by their keys. `instants` is how many different instants
    there were, `samples` how many stored samples were read, and `resolution` (ms) to what multiple
    instants were put off: 1 where that is to none.
    """

    resolution: int
    outcomes: Mapping[str, RuleOutcome]
    instants: int = 0
    samples: int = 0

    @property
    def evaluations(self) -> int:
        """Evaluations of all rules together."""
        return sum(each.evaluations for each in self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is worked on; but for `work`, results do not depend on it.

    A slab of time is first `first_slab` and at most `longest_slab` (ms) long, and holds about
    `samples`: 16 bytes each, and as much for what is made of them. `cells` are series x instants
    that are evaluated at once: 8 bytes each in a column, of which there are several. `work` is how
    much series x instants may be in all where the resolution is free: a few minutes.
    """

    first_slab: int = 3_600_000
    longest_slab: int = 86_400_000
    samples: int = 4_000_000
    cells: int = 500_000
    work: float = 1e9
