"""Which series of two vectors belong together: index arrays made from labels, once.

Source: prometheus/prometheus `promql/engine.go`, `VectorBinop` and `resultMetric`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from forewarn_collector.promql.growing import Distinct, Growing
from forewarn_collector.promql.nodes import Cardinality, Matching
from forewarn_collector.promql.relabel import Relabelled, relabelled
from forewarn_collector.promql.values import Memo, Nameless
from forewarn_collector.store.columns import Ints
from forewarn_wire.labels import METRIC_NAME, Labels, labels_from

NOBODY = -1
"""In place of a row: no series, a fill value stands in for it."""


_Label = Callable[[Labels, Labels], Labels]
"""The labels of a series of the `many` side and one of the other -> those of their result."""


def signature_of(matching: Matching) -> Callable[[Labels], Labels]:
    """The part of a label set that is compared."""
    names = frozenset(matching.labels)
    if matching.on:
        return lambda labels: tuple(pair for pair in labels if pair[0] in names)
    ignored = names | {METRIC_NAME}
    return lambda labels: tuple(pair for pair in labels if pair[0] not in ignored)


@dataclass(frozen=True, slots=True)
class Repeated:
    """Series that share a signature with others of their side.

    `rows: int64[n]` are those, signature by signature; `starts` are each signature's first.
    """

    rows: Ints
    starts: Ints


def repeated(ids: Ints, count: int) -> Repeated | None:
    """The series whose signature is not theirs alone; None if there are none."""
    sizes = np.bincount(ids, minlength=count)
    if not len(ids) or sizes.max() < 2:
        return None
    rows = np.flatnonzero(sizes[ids] > 1)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    return Repeated(rows, np.flatnonzero(np.diff(ids[rows], prepend=NOBODY)))


@dataclass(frozen=True, slots=True)
class Signatures:
    """Both sides' series by signature: `left: int64[left series]`, `right` alike, < `count`.

    `labels` are the signatures; `right_repeated` the right side's series that may be too many;
    `pairs` how many pairs of a left and a right series there are.
    """

    left: Ints
    right: Ints
    count: int
    labels: Sequence[Labels]
    right_repeated: Repeated | None
    pairs: int


def signatures(matching: Matching) -> Growing[Signatures]:
    """Number the signatures of two sequences of labels."""
    return Growing(lambda: _Numbering(signature_of(matching)))


class _Numbering:
    """Numbers the signatures of two sides' series one after the other."""

    def __init__(self, signature: Callable[[Labels], Labels]) -> None:
        self._signature = signature
        self._signatures = Distinct()
        self._left: list[int] = []
        self._right: list[int] = []

    def derive(self, *series: Sequence[Labels]) -> Signatures:
        for side, known in zip(series, (self._left, self._right), strict=True):
            known += self._signatures.numbers(map(self._signature, side[len(known) :]))
        left, right = np.array(self._left, dtype=np.int64), np.array(self._right, dtype=np.int64)
        count = len(self._signatures)
        pairs = int(np.bincount(right, minlength=count)[left].sum())
        labels = self._signatures.labels
        return Signatures(left, right, count, labels, repeated(right, count), pairs)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs that an operator combines, `many` being the side that may repeat.

    `many`, `one`: int64[pairs] are rows of the two sides or `NOBODY`; `ids: int64[pairs]` their
    signatures; `result` the labels of what they give; `pairs_repeated` the pairs that may turn
    out to be too many (one-to-one only).
    """

    ids: Ints
    many: Ints
    one: Ints
    result: Relabelled
    pairs_repeated: Repeated | None


class Pairing:
    """How the series of the `many` and of the `one` side pair up, fills included.

    A pair loses its name later if its series of the `many` side does.
    """

    def __init__(
        self, matching: Matching, drops_name: bool, signatures: Growing[Signatures]
    ) -> None:
        label = _result_labels(matching, drops_name)
        one_to_one = matching.cardinality is Cardinality.ONE_TO_ONE
        fills = matching.fills
        if matching.cardinality is Cardinality.ONE_TO_MANY:
            fills = fills[::-1]
        self._signatures = signatures
        self._fills = fills
        self._memo: Memo[Pairs] = Memo(partial(_paired, label, fills, one_to_one))
        self._alike = {
            mark: Growing(partial(_PairingUp, label, mark, one_to_one, signatures))
            for mark in (False, True)
        }

    def __call__(self, many: Sequence[Labels], one: Sequence[Labels], nameless: Nameless) -> Pairs:
        if self._fills == (None, None) and isinstance(nameless, bool):
            return self._alike[nameless](many, one)
        return self._memo(self._signatures(many, one), many, one, nameless)


class _PairingUp:
    """Pairs up the series of two sides as they come. Those that are new make the last pairs."""

    def __init__(
        self, label: _Label, nameless: bool, one_to_one: bool, signatures: Growing[Signatures]
    ) -> None:
        self._label = label
        self._nameless = nameless
        self._one_to_one = one_to_one
        self._signatures = signatures
        self._known = (0, 0)
        self._many: Ints = np.zeros(0, dtype=np.int64)
        self._one: Ints = np.zeros(0, dtype=np.int64)
        self._distinct = Distinct()
        self._rows: list[int] = []

    def derive(self, *series: Sequence[Labels]) -> Pairs:
        many, one = series
        ids = self._signatures(many, one)
        known_many, known_one = self._known
        self._known = len(many), len(one)
        new_many, all_one = _matches(ids.left[known_many:], ids.right)
        old_many, new_one = _matches(ids.left[:known_many], ids.right[known_one:])
        more_many = np.concatenate((new_many + known_many, old_many))
        more_one = np.concatenate((all_one, new_one + known_one))
        self._many = np.concatenate((self._many, more_many))
        self._one = np.concatenate((self._one, more_one))
        self._rows += self._distinct.numbers(
            self._label(many[row], one[other])
            for row, other in zip(more_many.tolist(), more_one.tolist(), strict=True)
        )
        rows = None if len(self._distinct) == len(self._rows) else np.array(self._rows)
        pair_ids = ids.left[self._many]
        return Pairs(
            pair_ids,
            self._many,
            self._one,
            Relabelled(self._distinct.labels, rows, self._nameless),
            repeated(pair_ids, ids.count) if self._one_to_one else None,
        )


def _paired(
    label: _Label,
    fills: tuple[float | None, float | None],
    one_to_one: bool,
    ids: Signatures,
    many: Sequence[Labels],
    one: Sequence[Labels],
    nameless: Nameless,
) -> Pairs:
    fill_many, fill_one = fills
    many_rows, one_rows = _matches(ids.left, ids.right)
    if fill_one is not None:
        many_rows = np.concatenate((many_rows, np.arange(len(many))))
        one_rows = np.concatenate((one_rows, np.full(len(many), NOBODY)))
    if fill_many is not None:
        many_rows = np.concatenate((many_rows, np.full(len(one), NOBODY)))
        one_rows = np.concatenate((one_rows, np.arange(len(one))))
    pair_ids = np.zeros(len(many_rows), dtype=np.int64)
    from_many = many_rows != NOBODY
    pair_ids[from_many] = ids.left[many_rows[from_many]]
    pair_ids[~from_many] = ids.right[one_rows[~from_many]]
    # A side that is filled has the labels that were compared, and no others.
    labels = (
        label(
            ids.labels[place] if row == NOBODY else many[row],
            ids.labels[place] if other == NOBODY else one[other],
        )
        for place, row, other in zip(
            pair_ids.tolist(), many_rows.tolist(), one_rows.tolist(), strict=True
        )
    )
    if not isinstance(nameless, bool):
        nameless = nameless[many_rows] & from_many
    return Pairs(
        pair_ids,
        many_rows,
        one_rows,
        relabelled(labels, nameless),
        repeated(pair_ids, ids.count) if one_to_one else None,
    )


def _matches(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Every left row with every right row of the same signature."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    first = np.searchsorted(ordered, left, "left")
    counts = np.searchsorted(ordered, left, "right") - first
    rows = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(first, counts) + within]


def _result_labels(matching: Matching, drops_name: bool) -> _Label:
    names = frozenset(matching.labels)
    include = matching.include
    dropped = frozenset({METRIC_NAME}) if drops_name else frozenset[str]()
    one_to_one = matching.cardinality is Cardinality.ONE_TO_ONE

    def label(many: Labels, one: Labels) -> Labels:
        kept = tuple(pair for pair in many if pair[0] not in dropped)
        if one_to_one:
            kept = tuple(pair for pair in kept if (pair[0] in names) is matching.on)
        if not include:
            return kept
        known = dict(one)
        return labels_from({**dict(kept), **{name: known.get(name, "") for name in include}})

    return label
