"""`damping:` of collector.yml and of a rule's task: when a problem that comes and goes flaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forewarn_wire.document import Section
from forewarn_wire.readers import duration, number


@dataclass(frozen=True, slots=True)
class Damping:
    """When a problem that comes and goes is said to flap; see `forewarn_collector.tasks.damping`.

    Thresholds in thousandths of a flap, times in ms. `suppress` 0: never.
    """

    half_life: int = 900_000
    suppress: int = 2_000
    reuse: int = 750
    longest: int = 3_600_000


def read_damping(document: Section) -> Damping | None:
    """The block `damping` of a section; None where there is none."""
    section = document.section("damping")
    if section is None:
        return None
    known = Damping()
    damping = Damping(
        half_life=section.take("half_life", _some_time, known.half_life),
        suppress=section.take("suppress", _flaps, known.suppress),
        reuse=section.take("reuse", _flaps, known.reuse),
        longest=section.take("longest", _some_time, known.longest),
    )
    if damping.suppress and not 0 < damping.reuse < damping.suppress:
        hint = "a task is damped at suppress, and no more when it has come down to reuse"
        section.problem("reuse", "reuse must be more than 0 and less than suppress", hint)
    section.refuse_unknown()
    return damping


def _flaps(value: Any) -> int:
    flaps = number(value)
    if not 0 <= flaps <= 1_000:
        raise ValueError(f"expected a number of flaps such as 2 or 0.75, found {value!r}")
    return round(flaps * 1_000)


def _some_time(value: Any) -> int:
    milliseconds = duration(value)
    if milliseconds < 1_000:
        raise ValueError(f"expected a second or more, found {value!r}")
    return milliseconds
