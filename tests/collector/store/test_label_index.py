"""The label index: matchers to series, as Prometheus' selectors document them."""

from __future__ import annotations

from itertools import product

import pytest

from forewarn_collector.store import Matcher, MatchOp
from forewarn_collector.store.index import LabelIndex
from forewarn_wire import Labels, labels_from

SERIES = [
    labels_from({"__name__": name, "instance": instance, "mode": mode})
    for name, instance, mode in product(("cpu", "disk"), ("a", "b", "c:9100"), ("", "idle", "user"))
]


@pytest.fixture
def index() -> LabelIndex:
    index = LabelIndex()
    index.add([(ref, labels) for ref, labels in enumerate(SERIES, start=1)])
    return index


def found(index: LabelIndex, *matchers: tuple[str, str, str]) -> list[Labels]:
    return list(index.select(m(*matchers)).labels)


def m(*matchers: tuple[str, str, str]) -> list[Matcher]:
    return [Matcher(name, MatchOp(op), value) for name, op, value in matchers]


@pytest.mark.parametrize(
    ("matchers", "wanted"),
    [
        ([("mode", "=", "idle")], lambda s: s.get("mode") == "idle"),
        ([("mode", "=", "")], lambda s: "mode" not in s),
        ([("mode", "!=", "")], lambda s: "mode" in s),
        ([("mode", "!=", "idle")], lambda s: s.get("mode") != "idle"),
        ([("mode", "=~", "id.*|user")], lambda s: "mode" in s),
        # Anchored: a regex meets the whole value.
        ([("mode", "=~", "id")], lambda s: False),
        ([("mode", "=~", ".*")], lambda s: True),
        ([("mode", "=~", ".+")], lambda s: "mode" in s),
        ([("mode", "=~", "|idle")], lambda s: s.get("mode") in {None, "idle"}),
        ([("mode", "!~", "idle|user")], lambda s: "mode" not in s),
        ([("mode", "!~", ".+")], lambda s: "mode" not in s),
        ([("mode", "!~", "")], lambda s: "mode" in s),
        ([("nowhere", "=", "")], lambda s: True),
        ([("nowhere", "=", "x")], lambda s: False),
        ([("nowhere", "=~", "x?")], lambda s: True),
        ([("nowhere", "!~", "x?")], lambda s: False),
        ([], lambda s: True),
        (
            [("__name__", "=", "cpu"), ("instance", "=~", "c:.*|a"), ("mode", "!=", "user")],
            lambda s: (
                s["__name__"] == "cpu"
                and s["instance"] in {"a", "c:9100"}
                and s.get("mode") != "user"
            ),
        ),
        (
            [("__name__", "=~", "cpu|disk"), ("__name__", "!=", "cpu")],
            lambda s: s["__name__"] == "disk",
        ),
    ],
)
def test_matchers_find_the_series_that_they_describe(index, matchers, wanted) -> None:  # type: ignore[no-untyped-def]
    assert found(index, *matchers) == [labels for labels in SERIES if wanted(dict(labels))]


def test_the_answer_is_the_same_object_until_the_matching_series_change(index: LabelIndex) -> None:
    cpu, idle = m(("__name__", "=", "cpu")), m(("mode", "=", "idle"))
    before, before_idle = index.select(cpu).labels, index.select(idle).labels
    index.add([(100, labels_from({"__name__": "disk", "instance": "d"}))])
    assert index.select(cpu).labels is before
    assert index.select(idle).labels is before_idle
    index.add([(101, labels_from({"__name__": "cpu", "instance": "d"}))])
    after = index.select(cpu).labels
    assert len(after) == len(before) + 1
    assert index.select(idle).labels is before_idle
    index.remove([101])
    assert index.select(cpu).labels == before


def test_removed_series_leave_nothing_behind(index: LabelIndex) -> None:
    index.remove([ref for ref, labels in enumerate(SERIES, start=1) if ("mode", "idle") in labels])
    assert index.values("mode") == ["user"]
    assert found(index, ("mode", "=", "idle")) == []
    index.remove(index.select([]).refs)
    assert len(index) == 0
    assert index.names() == []


def test_a_dot_also_meets_a_line_feed_as_in_prometheus_3(index: LabelIndex) -> None:
    index.add([(200, labels_from({"__name__": "x", "text": "a\nb"}))])
    assert len(found(index, ("text", "=~", "a.b"))) == 1


def test_a_bad_regex_says_what_is_wrong_with_it(index: LabelIndex) -> None:
    with pytest.raises(ValueError, match="missing"):
        index.select(m(("mode", "=~", "(")))


def test_series_can_be_added_while_answers_and_errors_of_before_are_kept(index: LabelIndex) -> None:
    # An array that lends its memory refuses to grow; neither a result nor a traceback may hold it.
    kept = [index.select(m(("mode", "=", "idle"))), index.select(m(("mode", "!=", "idle")))]
    with pytest.raises(ValueError, match="bad regex") as caught:
        index.select(m(("mode", "=", "idle"), ("instance", "=~", "(")))
    index.add([(100, labels_from({"__name__": "cpu", "instance": "d", "mode": "idle"}))])
    assert [len(selection.refs) for selection in kept] == [6, 12]
    assert caught.tb is not None


def test_selections_of_many_series_are_let_go_before_they_fill_the_memory(
    index: LabelIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forewarn_collector.store.index._SERIES_KEPT", 30)
    monkeypatch.setattr("forewarn_collector.store.index._TIMES_KEPT", 1)
    every = m(("mode", "!=", "x"))
    found = index.select(every)
    assert len(found.refs) == 18
    index.select(m(("mode", "=", "idle")))
    assert index.select(every) is found
    index.select(m(("mode", "!=", "y")))
    assert index.select(every) is not found
