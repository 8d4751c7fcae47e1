"""Whether an alert's input stopped, told from samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from forewarn_collector.rules.inputs import RuleInputs, SeriesIndex, inputs_of
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.store import Matcher, MatchOp, SeriesLabels
from forewarn_wire import STALE_NAN, Labels, labels_from
from support.memory_series import MemorySeries
from support.memory_source import MemorySource
from support.rules import MINUTE, SECOND, Life, rule

LOOKBACK = 5 * MINUTE


@dataclass(frozen=True)
class Selector:
    """A selector of an expression, as the query engine tells of it."""

    matchers: tuple[Matcher, ...]
    range: int = 0
    offset: int = 0
    at: int | None = None
    negated: bool = False


@dataclass(frozen=True)
class Query:
    selectors: tuple[Selector, ...]


def reads(metric: str, **options: Any) -> Selector:
    return Selector((Matcher("__name__", MatchOp.EQUAL, metric),), **options)


def recording(name: str, *selectors: Selector, **labels: str) -> RecordingRule:
    query = cast(Any, Query(selectors))
    return RecordingRule(f"g/{name}", name, "g", "f", 1, "", query, labels)


def inputs(
    source: MemorySource | MemorySeries,
    *selectors: Selector,
    recorded: Sequence[RecordingRule] = (),
) -> RuleInputs:
    query = cast(Any, Query(selectors))
    found = inputs_of(query, {one.name: [one] for one in recorded})
    return RuleInputs(found, source, LOOKBACK)


def missing(found: RuleInputs, held: int, now: int, **series: str) -> bool:
    """Whether the input of an alert that last held at `held` is missing at `now`."""
    life = Life(rule())
    life.see(held, [(labels_from({"instance": "a", **series}), 1.0)])
    return found.at(now).missing(life.one)


def test_an_input_that_stopped_is_missing_once_its_last_sample_is_too_old() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    found = inputs(source, reads("x"))
    assert not missing(found, 10 * MINUTE, 15 * MINUTE - 1)
    assert missing(found, 10 * MINUTE, 15 * MINUTE)
    assert missing(found, 10 * MINUTE, 50 * MINUTE)


def test_an_input_that_never_was_is_not_missing() -> None:
    source = MemorySource()
    source.every('x{instance="b"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    assert not missing(inputs(source, reads("x")), 10 * MINUTE, 50 * MINUTE)


def test_only_series_that_agree_on_the_labels_that_both_have_count() -> None:
    source = MemorySource()
    source.every('x{instance="a",disk="1"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    source.every('x{instance="a",disk="2"}', 10 * SECOND, 0, 60 * MINUTE, 1)
    source.every('x{instance="b",disk="1"}', 10 * SECOND, 0, 60 * MINUTE, 1)
    found = inputs(source, reads("x"))
    assert missing(found, 10 * MINUTE, 50 * MINUTE, disk="1")
    assert not missing(found, 10 * MINUTE, 50 * MINUTE, disk="2")
    # A label that no series has, such as one that label_replace made, tells nothing.
    assert not missing(found, 10 * MINUTE, 50 * MINUTE, made="up")
    assert missing(found, 10 * MINUTE, 50 * MINUTE, disk="1", made="up")


def test_one_of_several_inputs_is_enough() -> None:
    source = MemorySource()
    source.every('free{instance="a"}', 10 * SECOND, 0, 60 * MINUTE, 1)
    source.every('size{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    assert missing(inputs(source, reads("free"), reads("size")), 10 * MINUTE, 50 * MINUTE)


def test_an_input_that_was_absent_while_the_condition_held_explains_nothing() -> None:
    source = MemorySource()
    source.every('a_metric{instance="a"}', 10 * SECOND, 20 * MINUTE, 60 * MINUTE, 1)
    source.every('b_metric{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    # As in `a_metric or b_metric`, where the second stopped long before.
    found = inputs(source, reads("a_metric"), reads("b_metric"))
    assert not missing(found, 40 * MINUTE, 50 * MINUTE)


def test_a_negated_selector_is_no_input() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    assert not missing(inputs(source, reads("x", negated=True)), 10 * MINUTE, 50 * MINUTE)


def test_a_series_that_its_sender_ended_has_stopped_at_once() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    source.add('x{instance="a"}', (10 * MINUTE + SECOND, STALE_NAN))
    assert missing(inputs(source, reads("x")), 10 * MINUTE, 10 * MINUTE + 2 * SECOND)


def test_a_range_is_missing_before_it_is_empty_since_its_rate_falls_before() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    found = inputs(source, reads("x", range=5 * MINUTE))
    assert not missing(found, 10 * MINUTE, 10 * MINUTE + 45 * SECOND)
    assert missing(found, 10 * MINUTE, 10 * MINUTE + 46 * SECOND)


def test_a_range_that_is_sampled_rarely_may_be_silent_for_as_long_as_twice_its_usual_gap() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * MINUTE, 0, 60 * MINUTE, 1)
    found = inputs(source, reads("x", range=60 * MINUTE))
    assert not missing(found, 60 * MINUTE, 80 * MINUTE)
    assert missing(found, 60 * MINUTE, 80 * MINUTE + 1)


def test_a_range_needs_two_samples_again_before_its_input_has_returned() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    source.add('x{instance="a"}', (50 * MINUTE, 1))
    found = inputs(source, reads("x", range=5 * MINUTE))
    assert missing(found, 10 * MINUTE, 50 * MINUTE)
    source.add('x{instance="a"}', (50 * MINUTE + 10 * SECOND, 1))
    assert not missing(found, 10 * MINUTE, 50 * MINUTE + 10 * SECOND)


def test_offset_and_at_move_the_window() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    hour_ago = inputs(source, reads("x", offset=60 * MINUTE))
    assert not missing(hour_ago, 65 * MINUTE, 74 * MINUTE)
    assert missing(hour_ago, 65 * MINUTE, 75 * MINUTE)
    assert not missing(inputs(source, reads("x", at=5 * MINUTE)), 65 * MINUTE, 75 * MINUTE)


def test_what_a_recording_rule_of_ours_gives_is_traced_to_what_arrived() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    source.every('y{instance="a"}', 10 * SECOND, 0, 60 * MINUTE, 1)
    # The recorded series ended because its condition did, or because its input did: only the
    # samples of the input tell which.
    twice = [recording("twice", reads("once")), recording("once", reads("x"), team="t")]
    other = [recording("twice", reads("once")), recording("once", reads("y"), team="t")]
    stopped = inputs(source, reads("twice"), recorded=twice)
    goes_on = inputs(source, reads("twice"), recorded=other)
    assert missing(stopped, 10 * MINUTE, 50 * MINUTE, team="t")
    assert not missing(goes_on, 10 * MINUTE, 50 * MINUTE, team="t")


def test_recording_rules_that_read_themselves_end_at_themselves() -> None:
    source = MemorySource()
    source.every('total{instance="a"}', 10 * SECOND, 0, 10 * MINUTE, 1)
    found = inputs(source, reads("total"), recorded=[recording("total", reads("total"))])
    assert missing(found, 10 * MINUTE, 50 * MINUTE)


def test_the_onset_is_the_newest_sample_of_any_input() -> None:
    source = MemorySource()
    source.add('x{instance="a"}', (1_000, 1), (2_000, 1))
    source.add('y{instance="a"}', (1_500, 1))
    source.add('x{instance="b"}', (2_900, 1))
    found = inputs(source, reads("x"), reads("y")).at(3_000)
    assert found.onset(labels_from({"instance": "a"}), 3_000) == 2_000
    everything: Labels = ()
    assert found.onset(everything, 3_000) == 2_900
    assert found.onset(labels_from({"instance": "c"}), 3_000) == 3_000


def test_a_rule_without_inputs_has_its_onset_when_it_is_evaluated() -> None:
    assert inputs(MemorySource()).at(3_000).onset((), 3_000) == 3_000


def test_of_many_alerts_those_are_missing_whose_own_input_stopped() -> None:
    source = MemorySeries()
    for host in range(200):
        last = 10 if host % 3 == 0 else 50
        samples = [(time, 1.0) for time in range(0, last * MINUTE + 1, 10 * SECOND)]
        source.add({"__name__": "x", "instance": f"h{host}"}, samples)
    found = inputs(source, reads("x", range=5 * MINUTE))
    life = Life(rule())
    life.see(10 * MINUTE, [(labels_from({"instance": f"h{host}"}), 1.0) for host in range(200)])
    # The second time it is known how they were when they held.
    for time in (12 * MINUTE, 13 * MINUTE):
        now = found.at(time)
        gone = {
            dict(alert.labels)["instance"] for alert in life.alerts.values() if now.missing(alert)
        }
        assert gone == {f"h{host}" for host in range(0, 200, 3)}
    assert len(source.selections) < 10


def test_series_that_come_later_are_found_with_those_before() -> None:
    def series(host: str, disk: str) -> Labels:
        return labels_from({"__name__": "x", "instance": host, "disk": disk})

    index = SeriesIndex()
    first = SeriesLabels([series("a", "1"), series("b", "1")])
    index.take(first)
    asked = labels_from({"instance": "a"}), labels_from({"instance": "c", "disk": "1"})
    assert [index.rows(each, frozenset()) for each in asked] == [[0], []]
    index.take(first.grown([series("a", "2"), series("c", "1"), series("c", "")]))
    assert [index.rows(each, frozenset()) for each in asked] == [[0, 2], [3, 4]]
    index.take(SeriesLabels([series("c", "1")]))
    assert [index.rows(each, frozenset()) for each in asked] == [[], [0]]
    assert index.rows(asked[1], frozenset({"instance"})) == [0]
