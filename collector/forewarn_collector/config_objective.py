"""`objective:` of collector.yml: how soon a fault is to be a task, and how often at least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forewarn_wire.document import Section
from forewarn_wire.readers import duration, number

_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class ObjectiveConfig:
    """Of all tasks of `window` (ms) a share of `target` opens within `within` (ms)."""

    within: int = 250
    target: float = 0.99
    window: int = 30 * _DAY


def read_objective(document: Section) -> ObjectiveConfig:
    """Read the section; problems are noted there."""
    section = document.section("objective")
    known = ObjectiveConfig()
    if section is None:
        return known
    objective = ObjectiveConfig(
        section.take("within", _some_time, known.within),
        section.take("target", _share, known.target),
        section.take("window", _some_time, known.window),
    )
    section.refuse_unknown()
    return objective


def _share(value: Any) -> float:
    share = number(value)
    if not 0 < share < 1:
        raise ValueError(f"expected a share between 0 and 1 such as 0.99, found {value!r}")
    return share


def _some_time(value: Any) -> int:
    milliseconds = duration(value)
    if milliseconds < 1:
        raise ValueError(f"expected a duration such as 250ms or 30d, found {value!r}")
    return milliseconds
