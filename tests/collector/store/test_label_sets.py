"""Label sets as numbers: found, given out and taken back as a dict of them would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.store.coded import coded, joined
from forewarn_collector.store.index import NO_REF, LabelIndex
from forewarn_collector.store.label_sets import LabelSets
from forewarn_wire import Labels, labels_from

label_sets = st.dictionaries(
    st.sampled_from(["__name__", "instance", "job", "ümlaut"]), st.sampled_from("abc"), max_size=4
).map(labels_from)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(label_sets, max_size=12)), max_size=8))
def test_an_index_finds_what_was_added_and_not_removed(
    steps: list[tuple[bool, list[Labels]]],
) -> None:
    index, known, next_ref = LabelIndex(), dict[Labels, int](), 1
    everything = {labels for _, sets in steps for labels in sets}
    for adding, sets in steps:
        if adding:
            new = [labels for labels in dict.fromkeys(sets) if labels not in known]
            series = list(enumerate(new, start=next_ref))
            next_ref += len(new)
            index.add(series)
            known |= {labels: ref for ref, labels in series}
        else:
            index.remove([known.pop(labels) for labels in dict.fromkeys(sets) if labels in known])
        assert len(index) == len(known)
        asked = sorted(everything)
        found = index.find(asked).tolist()
        assert found == [known.get(labels, NO_REF) for labels in asked]
        refs = np.array(sorted(known.values()), dtype=np.int64)
        by_ref = {ref: labels for labels, ref in known.items()}
        assert index.labels_of(refs) == [by_ref[ref] for ref in refs.tolist()]
        assert index.values_of("job", refs) == [
            dict(by_ref[ref]).get("job", "") for ref in refs.tolist()
        ]
        pairs = {pair for labels in known for pair in labels}
        assert sorted(index.values("job")) == sorted(v for n, v in pairs if n == "job")


def test_label_sets_of_which_one_is_the_beginning_of_another_are_told_apart() -> None:
    index = LabelIndex()
    long = tuple((f"l{k:02}", "x") for k in range(40))
    series = [(k, long[:k]) for k in range(1, 41)]
    index.add(series)
    assert index.find([labels for _, labels in series]).tolist() == [ref for ref, _ in series]
    assert index.ref(long[1:]) is None


def test_many_that_come_to_one_place_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if every hash were the same: each is found behind the others.
    monkeypatch.setattr(
        LabelSets, "_hashes", lambda self, numbers, counts: np.full(len(counts), 7, dtype=np.uint64)
    )
    index = LabelIndex()
    series = [(k, (("k", str(k)),)) for k in range(1, 60)]
    index.add(series[:30])
    index.remove([3, 17])
    index.add(series[30:])
    found = index.find([labels for _, labels in series]).tolist()
    assert found == [NO_REF if ref in {3, 17} else ref for ref, _ in series]


def test_series_that_come_and_go_take_no_more_memory_than_those_that_are_there() -> None:
    index = LabelIndex()
    for generation in range(40):
        refs = range(generation * 1_000 + 1, generation * 1_000 + 1_001)
        index.add([(ref, (("__name__", "m"), ("pod", str(ref)))) for ref in refs])
        if generation == 1:
            two = index.nbytes
        if generation:
            index.remove(range(refs.start - 1_000, refs.start))
    # Two generations are there at once; a page of refs more where they began within one.
    assert index.nbytes <= two + 3 * 4 * 4096
    assert len(index.values("pod")) == 1_000


def test_parts_and_joins_of_coded_label_sets_are_those_of_the_sets() -> None:
    sets = [labels_from({"__name__": "m", "k": str(k // 2)}) for k in range(10)] + [()]
    whole = coded(sets)
    assert whole.labels() == sets
    assert whole.part(3, 11).labels() == sets[3:]
    assert len(whole.part(3, 4).pairs) == 2
    again = joined([whole.part(0, 4), whole.part(4, 11)])
    assert again.labels() == sets
    assert sorted(again.pairs) == sorted(whole.pairs)
    assert joined([]).labels() == []
    column = whole.column("k", lambda value: int(value or -1))
    assert column.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, -1]
