"""A plan that meets new series answers as a fresh one, and derives only what is new."""

from __future__ import annotations

import pytest

from forewarn_collector.promql import Round, compile_query, continues
from forewarn_collector.promql.growing import Distinct, Growing
from forewarn_collector.store import SeriesLabels
from forewarn_wire import Labels, labels_from
from support.head_source import HeadSource

AT = 300_000
EXPRESSIONS = [
    "rate(busy[5m])",
    "busy / total",
    "busy / on (instance) group_left (room) place",
    "busy and on (instance) place",
    "busy unless on (instance) place",
    "busy or total",
    "sum by (instance) (busy)",
    "sum without (cpu) (rate(busy[5m])) > 0",
    "topk by (instance) (1, busy)",
    'count_values by (instance) ("v", busy)',
    'label_replace(busy, "host", "$1", "instance", "(.*)")',
    'label_replace(busy, "__name__", "$1", "instance", "(host1|host3)")',
    "-busy",
    "busy == bool 1",
    "abs(busy) + on (instance, cpu) total",
    "total + fill (0) busy",
]


def _host(source: HeadSource, number: int) -> None:
    host = {"instance": f"host{number}"}
    samples = []
    for tick in range(30):
        time = tick * 10_000 + 1
        for cpu in ("0", "1"):
            labels = labels_from({"__name__": "busy", "cpu": cpu, **host})
            samples.append((labels, time, float(tick * (number + 1))))
            labels = labels_from({"__name__": "total", "cpu": cpu, **host})
            samples.append((labels, time, float(tick * 10 + number)))
    if number != 2:
        place = labels_from({"__name__": "place", "room": f"room{number % 2}", **host})
        samples.append((place, 290_000, 1.0))
    source.write(samples)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_kept_plan_answers_as_a_fresh_one_when_series_are_added_and_dropped(text: str) -> None:
    source = HeadSource()
    kept = compile_query(text)
    for number in range(5):
        _host(source, number)
        assert sorted(kept.instant(source, AT).vector()) == sorted(
            compile_query(text).instant(source, AT).vector()
        )
    source.drop(280_000 + 1)  # nothing ends before
    lone = labels_from({"__name__": "busy", "cpu": "0", "instance": "late"})
    source.write([(lone, AT - 1, 1.0)])
    source.drop(AT - 5_000)
    assert sorted(kept.instant(source, AT).vector()) == sorted(
        compile_query(text).instant(source, AT).vector()
    )


@pytest.mark.parametrize(
    "text", [text for text in EXPRESSIONS[:8] if " or " not in text and "__name__" not in text]
)
def test_the_labels_of_a_result_grow_with_the_series(text: str) -> None:
    source = HeadSource()
    query = compile_query(text)
    _host(source, 0)
    before = query.at(Round(source, AT), AT).labels
    assert query.at(Round(source, AT), AT).labels is before
    _host(source, 1)
    after = query.at(Round(source, AT), AT).labels
    assert continues(after, before)
    assert len(after) > len(before)


def test_only_what_is_new_is_derived() -> None:
    derived: list[int] = []

    class Deriver:
        def __init__(self) -> None:
            self._distinct = Distinct()
            self._met = 0

        def derive(self, *series: tuple[Labels, ...]) -> SeriesLabels:
            derived.append(len(series[0]) - self._met)
            self._distinct.numbers(series[0][self._met :])
            self._met = len(series[0])
            return self._distinct.labels

    growing = Growing(Deriver)
    one, two = labels_from({"a": "1"}), labels_from({"a": "2"})
    labels = SeriesLabels([one])
    first = growing(labels)
    assert growing(labels) is first
    more = labels.grown([two])
    assert list(growing(more)) == [one, two]
    assert continues(growing(more), first)
    assert list(growing(SeriesLabels([two]))) == [two]
    assert derived == [1, 1, 1]
