"""How much a request may hold, and what is said of the parts of it that are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from forewarn_wire import WireError


class TooLargeError(ValueError):
    """A request is over a bound on its size; the sender must send less at a time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a request; sizes in bytes, of labels in bytes of UTF-8.

    More than `max_rejected` bad parts make the whole request bad.

    A body over `max_body` or `max_decoded` is refused as a whole; a series or event over one of
    the others alone. An event's text is cut at `max_event_body` and `max_attribute` instead.
    """

    max_body: int = 16 << 20
    max_decoded: int = 64 << 20
    max_labels: int = 64
    max_label_name: int = 1_024
    max_label_value: int = 4_096
    max_event_body: int = 16 << 10
    max_attribute: int = 4 << 10
    max_attributes: int = 128
    max_rejected: int = 10_000


class Kind(StrEnum):
    """Why a series or an event was refused; few, since a metric counts by them."""

    BAD_ENCODING = "bad_encoding"
    BAD_NAME = "bad_name"
    DUPLICATE_LABEL = "duplicate_label"
    LABEL_LIMIT = "label_limit"
    NATIVE_HISTOGRAM = "native_histogram"
    BAD_TIME = "bad_time"
    BAD_REFERENCE = "bad_reference"
    BAD_HISTOGRAM = "bad_histogram"
    NO_VALUE = "no_value"
    TEMPORALITY = "temporality"
    SERIES_LIMIT = "series_limit"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One series or event that was refused: `subject` is its labels, or as much as can be read."""

    kind: Kind
    subject: str
    reason: str


EARLIEST = 0
LATEST = 253_402_300_799_999
"""The end of the year 9999: a later time is a broken clock or a wrong unit (ms)."""


def check_rejected(rejected: Sequence[Rejected], limits: Limits) -> None:
    """Raise WireError where so much is refused that the rest is not worth the work."""
    if len(rejected) > limits.max_rejected:
        first = rejected[0]
        raise WireError(
            f"more than {limits.max_rejected} parts of the request are refused, and so is the"
            f" rest; the first: {first.subject}: {first.reason}"
        )


def check_size(size: int, limit: int, what: str) -> None:
    """Raise TooLargeError where `size` bytes are over the limit."""
    if size > limit:
        raise TooLargeError(f"{what}: {size} bytes, over the limit of {limit}; send less at once")
