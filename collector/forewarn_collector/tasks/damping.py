"""Flap damping: a penalty for each flap that decays, with two thresholds.

Source: RFC 2439, sections 4.2 and 4.4, with its usual values (suppress at 2 flaps, reuse at 0.75,
half-life 15 minutes, at most an hour): a problem that comes back three times within minutes is
damped, and calm about half an hour later. Nagios' two thresholds do the same for a share of the
last 21 checks, but there are no checks here: rules are evaluated when samples arrive.
"""

from __future__ import annotations

import math

from forewarn_collector.config_damping import Damping

FLAP = 1_000
"""The penalty of one flap; whole numbers, which are the same in every database."""


def penalised(penalty: int, since: int | None, at: int, damping: Damping) -> int:
    """The penalty after one more flap at `at` (ms), where it was `penalty` as of `since`."""
    decayed = 0.0
    if since is not None:
        decayed = penalty * 0.5 ** (max(0, at - since) / damping.half_life)
    ceiling = damping.reuse * 2 ** (damping.longest / damping.half_life)
    return round(min(decayed + FLAP, ceiling))


def calm_at(penalty: int, at: int, damping: Damping) -> int:
    """When (ms) a penalty as of `at` has decayed to the lower threshold."""
    return at + max(0, math.ceil(damping.half_life * math.log2(penalty / damping.reuse)))
