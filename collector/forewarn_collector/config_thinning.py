"""`thinning:` of collector.yml: how old samples are when rows take their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forewarn_wire.document import Section
from forewarn_wire.durations import parse_duration
from forewarn_wire.readers import text

DAY = 86_400_000
_LEAST = 2 * DAY


@dataclass(frozen=True, slots=True)
class ThinningConfig:
    """Ages (ms) at which samples become rows of 5 minutes, and those rows of an hour."""

    after: int = 90 * DAY
    hourly_after: int = 90 * DAY


def read_thinning(document: Section) -> ThinningConfig:
    """Read the section; problems are noted there."""
    section = document.section("thinning")
    defaults = ThinningConfig()
    if section is None:
        return defaults
    after = section.take("after", _age, defaults.after)
    hourly = section.take("hourly_after", _age, max(defaults.hourly_after, after))
    if hourly < after:
        section.problem(
            "hourly_after",
            "hourly_after is before after",
            "rows of an hour are made of thinned ones",
        )
    section.refuse_unknown()
    return ThinningConfig(after, hourly)


def _age(value: Any) -> int:
    milliseconds = parse_duration(text(value))
    if milliseconds < _LEAST:
        raise ValueError(f"expected two days or more, found {value!r}")
    return milliseconds
