"""Which series of two vectors belong together: index arrays made from labels, once.

Source: prometheus/prometheus `promql/engine.go`, `VectorBinop` and `resultMetric`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.nodes import Cardinality, Matching
from forewarn_collector.promql.relabel import Relabelled, relabelled
from forewarn_collector.promql.values import Nameless
from forewarn_collector.store.columns import Ints
from forewarn_wire.labels import METRIC_NAME, Labels, labels_from

NOBODY = -1
"""In place of a row: no series, a fill value stands in for it."""


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


def signatures(matching: Matching) -> Callable[[Sequence[Labels], Sequence[Labels]], Signatures]:
    """Number the signatures of two sequences of labels."""
    signature = signature_of(matching)

    def number(left: Sequence[Labels], right: Sequence[Labels]) -> Signatures:
        places: dict[Labels, int] = {}

        def numbered(series: Iterable[Labels]) -> Ints:
            return np.array(
                [places.setdefault(signature(labels), len(places)) for labels in series],
                dtype=np.int64,
            )

        left_ids, right_ids = numbered(left), numbered(right)
        right_repeated = repeated(right_ids, len(places))
        pairs = int(np.bincount(right_ids, minlength=len(places))[left_ids].sum())
        return Signatures(left_ids, right_ids, len(places), tuple(places), right_repeated, pairs)

    return number


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


def pairing(
    matching: Matching, drops_name: bool
) -> Callable[[Signatures, Sequence[Labels], Sequence[Labels], Nameless], Pairs]:
    """How the series of the `many` and of the `one` side pair up, fills included.

    A pair loses its name later if its series of the `many` side does.
    """
    label = _result_labels(matching, drops_name)
    fill_many, fill_one = matching.fills
    if matching.cardinality is Cardinality.ONE_TO_MANY:
        fill_many, fill_one = fill_one, fill_many

    def pair(
        ids: Signatures, many: Sequence[Labels], one: Sequence[Labels], nameless: Nameless
    ) -> Pairs:
        many_rows, one_rows = _matches(ids)
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
        result = relabelled(labels, nameless)
        one_to_one = matching.cardinality is Cardinality.ONE_TO_ONE
        return Pairs(
            pair_ids,
            many_rows,
            one_rows,
            result,
            repeated(pair_ids, ids.count) if one_to_one else None,
        )

    return pair


def _matches(ids: Signatures) -> tuple[Ints, Ints]:
    """Every left row with every right row of the same signature."""
    order = np.argsort(ids.right, kind="stable")
    ordered = ids.right[order]
    first = np.searchsorted(ordered, ids.left, "left")
    counts = np.searchsorted(ordered, ids.left, "right") - first
    left = np.repeat(np.arange(len(ids.left)), counts)
    within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    return left, order[np.repeat(first, counts) + within]


def _result_labels(matching: Matching, drops_name: bool) -> Callable[[Labels, Labels], Labels]:
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
