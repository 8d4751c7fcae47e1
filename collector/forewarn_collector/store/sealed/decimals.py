"""Floats as integers that differ little from each other, and back, bit by bit.

Most of what hosts measure is a decimal of few digits: 12.25 is kept as 1225 and an exponent of 2.
A column where that does not give every bit back is kept as the bits of its floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import repeated, spans

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


class Form(IntEnum):
    """What an integer `k` of a column stands for; `e` is the column's exponent."""

    BITS = 0
    DIVIDED = 1
    """`k / 10**e`: what a decimal text gives, and most arithmetic."""
    MULTIPLIED = 2
    """`k * 10**-e`, which is often one bit off."""
    TWICE = 3
    """`k / 1000 / 1000`: how node_exporter makes seconds of the kernel's microseconds."""


_MOST_DIGITS = 12
_CANDIDATES: Sequence[tuple[Form, int]] = (
    (Form.DIVIDED, 0),
    *((form, e) for e in range(1, _MOST_DIGITS + 1) for form in (Form.DIVIDED, Form.MULTIPLIED)),
    (Form.TWICE, 6),
)
_POWERS: Floats = np.array([float(f"1e{e}") for e in range(_MOST_DIGITS + 1)])
_INVERSES: Floats = np.array([float(f"1e-{e}") for e in range(_MOST_DIGITS + 1)])
_THOUSAND = 1000.0
_EXACT = float(2**53)
"""Below it every integer is a float."""
_MINUS_ZERO = np.int64(np.iinfo(np.int64).min)
_PROBES = 8
"""Samples of a column that a form is tried on before all of them are."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Columns as integers: column `i` has `integers[offsets[i]:offsets[i + 1]]`.

    `forms: uint8[columns]` and `exponents: uint8[columns]` say what they stand for, except for the
    samples `odd: int64[n]`, whose floats have the bits `odd_bits: int64[n]`: what is not finite or
    -0.0 in a column of decimals.
    """

    integers: Ints
    forms: Bytes
    exponents: Bytes
    odd: Ints
    odd_bits: Ints


def to_numbers(values: Floats, offsets: Ints) -> Numbers:
    """Columns of at least one sample each; column `i` is `values[offsets[i]:offsets[i + 1]]`."""
    bits = values.view(np.int64)
    starts, counts = offsets[:-1], np.diff(offsets)
    forms = np.zeros(len(counts), dtype=np.uint8)
    exponents = np.zeros(len(counts), dtype=np.uint8)
    integers = bits.copy()
    odd = ~np.isfinite(values) | (bits == _MINUS_ZERO)
    many = np.add.reduceat(odd.astype(np.int64), starts)
    # Each costs some twenty bytes: where there are more, the bits are less.
    pending = (many <= counts // 32 + 2) & (many < counts)
    filled = _filled(values, odd, starts, counts) if many.any() else values
    probes = filled[starts[:, None] + (counts - 1)[:, None] * np.arange(_PROBES) // (_PROBES - 1)]
    for form, exponent in _CANDIDATES:
        columns = np.flatnonzero(pending)
        if not len(columns):
            break
        columns = columns[_scaled(probes[columns], form, exponent)[1].all(axis=1)]
        if not len(columns):
            continue
        places = spans(starts[columns], counts[columns])
        scaled, exact = _scaled(filled[places], form, exponent)
        begins = np.cumsum(counts[columns]) - counts[columns]
        good = np.logical_and.reduceat(exact, begins)
        if not good.all():
            kept = repeated(good.astype(np.int64), counts[columns]).astype(bool)
            columns, places, scaled = columns[good], places[kept], scaled[kept]
        integers[places] = scaled
        forms[columns], exponents[columns] = form, exponent
        pending[columns] = False
    places = np.flatnonzero(odd)
    places = places[forms[np.searchsorted(offsets, places, "right") - 1] != Form.BITS]
    return Numbers(integers, forms, exponents, places, bits[places])


def to_values(integers: Ints, offsets: Ints, forms: Bytes, exponents: Bytes) -> Floats:
    """The floats that `to_numbers` was given, but for the odd ones."""
    counts = np.diff(offsets)
    values: Floats = integers.astype(np.float64)
    scaled = np.flatnonzero((forms == Form.DIVIDED) & (exponents > 0))
    if len(scaled):
        places = spans(offsets[scaled], counts[scaled])
        values[places] /= repeated(_POWERS[exponents[scaled]], counts[scaled])
    scaled = np.flatnonzero(forms == Form.MULTIPLIED)
    if len(scaled):
        places = spans(offsets[scaled], counts[scaled])
        values[places] *= repeated(_INVERSES[exponents[scaled]], counts[scaled])
    scaled = np.flatnonzero(forms == Form.TWICE)
    if len(scaled):
        places = spans(offsets[scaled], counts[scaled])
        values[places] = values[places] / _THOUSAND / _THOUSAND
    plain = np.flatnonzero(forms == Form.BITS)
    if len(plain):
        places = spans(offsets[plain], counts[plain])
        values.view(np.int64)[places] = integers[places]
    return values


def _scaled(values: Floats, form: Form, exponent: int) -> tuple[Ints, Flags]:
    # The integers, and which of them give every bit of their float back.
    with np.errstate(over="ignore"):
        nearest = np.rint(values * _POWERS[exponent])
    fits = np.abs(nearest) < _EXACT
    scaled: Ints = np.where(fits, nearest, 0).astype(np.int64)
    floats = scaled.astype(np.float64)
    if form == Form.DIVIDED:
        floats /= _POWERS[exponent]
    elif form == Form.MULTIPLIED:
        floats *= _INVERSES[exponent]
    else:
        floats = floats / _THOUSAND / _THOUSAND
    return scaled, fits & (floats.view(np.int64) == values.view(np.int64))


def _filled(values: Floats, odd: Flags, starts: Ints, counts: Ints) -> Floats:
    # Each odd sample as the last one before it that is not; at a column's begin as the first one.
    places = np.arange(len(values))
    first = np.minimum.reduceat(np.where(odd, len(values) - 1, places), starts)
    last = np.maximum.accumulate(np.where(odd, -1, places))
    filled: Floats = values[np.maximum(last, repeated(first, counts))]
    return filled
