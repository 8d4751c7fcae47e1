"""The order in which rules are evaluated: after those whose records they read."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.rules.order import Order, ordered


def rule(record: str, expr: str) -> RecordingRule:
    return RecordingRule(f"g/{record}", record, "g", "f", 1, expr, compile_query(expr))


def names(order: Order) -> list[str]:
    return [each.name for each in order.rules]


def test_a_rule_comes_after_what_it_reads_in_whatever_order_they_are_given() -> None:
    rules = [rule("one", "x"), rule("two", "one"), rule("three", "sum(two) + one")]
    for given_ in permutations(rules):
        assert names(ordered(given_)) == ["one", "two", "three"]


def test_rules_that_nothing_is_between_are_together_in_the_order_of_the_file() -> None:
    rules = [rule("b", "x"), rule("on_b", "b"), rule("a", "x"), rule("on_a", "a")]
    assert names(ordered(rules)) == ["b", "a", "on_b", "on_a"]


def test_rules_that_feed_each_other_keep_the_order_of_the_file() -> None:
    rules = [
        rule("reads", "late"),
        rule("late", "early"),
        rule("early", "late + first"),
        rule("first", "x"),
        rule("itself", "itself + x"),
    ]
    order = ordered(rules)
    assert names(order) == ["first", "itself", "late", "early", "reads"]
    assert [sorted(each) for each in order.followers] == [[2, 3, 4], [1], [2, 3, 4], [2, 3, 4], []]


def test_a_selector_that_names_no_metric_may_read_any_record() -> None:
    order = ordered([rule("all", 'count({job="a"})'), rule("one", "x")])
    # It may read its own record as well, which makes no order.
    assert names(order) == ["one", "all"]
    assert [sorted(each) for each in order.feeders] == [[], [0, 1]]
    order = ordered([rule("some", 'count({__name__=~"b.+"})'), rule("one", "x")])
    assert names(order) == ["some", "one"]


@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=10))
def test_whatever_feeds_a_rule_comes_before_it_unless_it_is_fed_by_it(
    reads: list[set[int]],
) -> None:
    rules = [
        rule(f"r{number}", " + ".join(["x", *(f"r{each}" for each in sorted(found))]))
        for number, found in enumerate(reads)
    ]
    order = ordered(rules)
    for position, feeders in enumerate(order.feeders):
        for feeder in feeders:
            assert feeder < position or feeder in order.followers[position] | {position}
