"""`limits:` of collector.yml: how much may wait, and how much a customer may send."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from forewarn_wire.document import Section
from forewarn_wire.readers import size, text, whole_number

WAITING = 64 << 20


@dataclass(frozen=True, slots=True)
class CustomerLimits:
    """What one customer may send: active series, and samples a second; 0 is without limit."""

    customer: str
    series: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """`waiting` in bytes of requests not yet answered; `series` active ones of all, 0: no limit."""

    waiting: int = WAITING
    series: int = 0
    customers: tuple[CustomerLimits, ...] = ()


def read_limits(document: Section) -> LimitsConfig:
    """Read the section; problems are noted there."""
    section = document.section("limits")
    if section is None:
        return LimitsConfig()
    limits = LimitsConfig(
        waiting=section.take("waiting", _waiting, WAITING),
        series=section.take("series", whole_number, 0),
        customers=tuple(_customer(item) for item in section.sections("customers")),
    )
    section.refuse_unknown()
    for name, count in Counter(item.customer for item in limits.customers).items():
        if count > 1:
            section.problem("customers", f"{count} times limits of {name}", "give them once")
    return limits


def _customer(section: Section) -> CustomerLimits:
    limits = CustomerLimits(
        section.require("customer", text, ""),
        section.take("series", whole_number, 0),
        section.take("samples", whole_number, 0),
    )
    section.refuse_unknown()
    return limits


def _waiting(value: Any) -> int:
    found = size(value)
    if found < 1 << 20:
        raise ValueError(f"expected 1MiB or more, found {value!r}")
    return found
