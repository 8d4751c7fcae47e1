"""What a task shows of the time before it opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule, EvidenceSpec, TaskSpec
from forewarn_collector.store import LatestColumns, Matcher, MatchOp, SeriesColumns
from forewarn_collector.store.matching import labels_predicate
from forewarn_collector.tasks.evidence import StoreEvidence, substitute
from forewarn_collector.tasks.evidence_html import evidence_html
from forewarn_collector.tasks.evidence_text import evidence_lines
from forewarn_wire import STALE_NAN, Event, Labels, Severity, labels_from
from support.alerts import HOUR, MINUTE, T0, alert_of
from support.memory_source import MemorySource

FREE, SIZE = "node_filesystem_avail_bytes", "node_filesystem_size_bytes"


def source_of(stored: dict[Labels, list[tuple[int, float]]]) -> MemorySource:
    source = MemorySource()
    source.samples = {labels: dict(samples) for labels, samples in stored.items()}
    return source


def series(metric: str, **labels: str) -> Labels:
    return labels_from({"__name__": metric, **labels})


def event(body: str, instance: str = "a") -> Event:
    attributes = {"path": "/var/log/app.log"}
    labels = labels_from({"instance": instance})
    return Event(T0 - MINUTE, "log", Severity.ERROR, labels, body, body, attributes)


def rule(expr: str, *evidence: EvidenceSpec) -> AlertingRule:
    return AlertingRule(
        "disk/Full", "Full", "disk", "r.yml", 1, expr, compile_query(expr),
        task=TaskSpec(evidence=evidence),
    )  # fmt: skip


def gather(
    made: AlertingRule,
    alert: Alert,
    stored: dict[Labels, list[tuple[int, float]]],
    events: Sequence[Event] = (),
) -> dict[str, Any]:
    def found(matchers: Sequence[Matcher], start: int, end: int, limit: int) -> list[Event]:
        wanted = {m.name: m.value for m in matchers if m.name != "type"}
        return [e for e in events if start <= e.time <= end and wanted.items() <= {*e.labels}][
            :limit
        ]

    (document,) = StoreEvidence(source_of(stored), found).gather([(made, alert)], T0)
    return document


DISK = rule(f"{FREE} / {SIZE} < 0.1")
ALERT = alert_of(DISK, {"instance": "a", "mountpoint": "/"})
STORED = {
    series(FREE, instance="a", mountpoint="/"): [
        (T0 - 20 * MINUTE, 9.0), (T0 - MINUTE, 2.0), (T0, 1.0), (T0 + 1, 0.0),
    ],
    series(FREE, instance="b", mountpoint="/"): [(T0, 5.0)],
    series(SIZE, instance="a", mountpoint="/"): [(T0, 100.0)],
}  # fmt: skip


def test_a_rules_inputs_are_shown_for_this_alert_and_until_its_time() -> None:
    document = gather(DISK, ALERT, STORED)
    assert document["value"] == "0.5"
    times = document["onset"], document["detected"], document["gathered_at"]
    assert times == (T0 - 500, T0, T0)
    assert document["inputs"] == [
        {
            "query": FREE,
            "series": [
                {
                    "labels": {"__name__": FREE, "instance": "a", "mountpoint": "/"},
                    "samples": [[T0 - MINUTE, "2"], [T0, "1"]],
                }
            ],
        },
        {
            "query": SIZE,
            "series": [
                {
                    "labels": {"__name__": SIZE, "instance": "a", "mountpoint": "/"},
                    "samples": [[T0, "100"]],
                }
            ],
        },
    ]
    assert document["notes"] == []


def test_an_input_without_the_alerts_labels_is_found_by_its_host() -> None:
    made = rule(f"{FREE} * on(instance) group_left(name) os_info")
    alert = alert_of(made, {"instance": "a", "mountpoint": "/", "name": "Debian"})
    info = series("os_info", instance="a", name="Debian")
    document = gather(made, alert, {**STORED, info: [(T0, 1.0)]})
    found = [[one["labels"]["__name__"] for one in i["series"]] for i in document["inputs"]]
    assert found == [[FREE], ["os_info"]]


def test_an_input_that_is_read_twice_is_shown_once() -> None:
    document = gather(rule(f"{FREE} < 1 or {FREE} > 9 or {FREE} offset 1m < 2"), ALERT, STORED)
    assert len(document["inputs"]) == 2


def test_numbers_that_are_none_and_stale_markers_are_text() -> None:
    made = rule("x > 0")
    samples = [(T0 - 3, float("nan")), (T0 - 2, float("-inf")), (T0 - 1, STALE_NAN), (T0, 0.25)]
    document = gather(made, alert_of(made, {"instance": "a"}), {series("x", instance="a"): samples})
    values = [value for _, value in document["inputs"][0]["series"][0]["samples"]]
    assert values == ["NaN", "-Inf", "stale", "0.25"]


def test_an_alert_from_outside_has_no_value_and_none_is_shown() -> None:
    made = AlertingRule(
        "/alertmanager/Full", "Full", "alertmanager", "", 0, "x", compile_query("x")
    )
    alert = replace(alert_of(made, {"instance": "a"}), value=float("nan"))
    document = gather(made, alert, {})
    assert document["value"] == ""
    assert "value" not in next(evidence_lines([document]))
    assert "value" not in evidence_html([document])


def test_evidence_has_a_bound_whatever_the_store_holds() -> None:
    made = rule("sum(x) > 0")
    stored = {
        series("x", instance=str(n)): [(T0 - 600_000 + 100 * k, 1.0) for k in range(6_000)]
        for n in range(50)
    }
    events = [event("y" * 10_000) for _ in range(100)]
    document = gather(made, alert_of(made, {"instance": "a"}), stored, events)
    assert document["inputs"][0]["series"] == []
    document = gather(made, alert_of(made, {}), stored)
    found = document["inputs"][0]["series"]
    assert len(found) == 10
    assert {len(one["samples"]) for one in found} == {60}
    assert found[0]["samples"][-1][0] == T0 - 100
    document = gather(made, alert_of(made, {"instance": "a"}), {}, events)
    assert len(document["events"]) == 20
    assert {len(e["body"]) for e in document["events"]} == {500}


def test_the_hosts_recent_events_come_without_asking() -> None:
    old = Event(T0 - 16 * MINUTE, "log", Severity.INFO, (("instance", "a"),), "old", "u")
    document = gather(DISK, ALERT, STORED, [event("no space"), event("other", "b"), old])
    assert document["events"] == [
        {
            "time": T0 - MINUTE,
            "type": "log",
            "severity": "error",
            "labels": {"instance": "a"},
            "body": "no space",
            "attributes": {"path": "/var/log/app.log"},
        }
    ]


def test_a_rule_asks_for_more_with_the_alerts_labels() -> None:
    made = rule(
        f"{FREE} < 1",
        EvidenceSpec(expr=f'{SIZE}{{instance="$instance"}}', events="", last=2 * MINUTE),
        EvidenceSpec(expr="", events='{instance="${instance}"}', last=5 * MINUTE),
    )
    document = gather(made, ALERT, STORED, [event("no space"), event("other", "b")])
    (query,) = document["queries"]
    assert query["query"] == f'{SIZE}{{instance="a"}}'
    (one,) = query["series"]
    assert one["labels"]["__name__"] == SIZE
    assert one["samples"][-1] == [T0, "100"]
    assert [e["body"] for e in document["events"]] == ["no space"]


def test_what_cannot_be_gathered_is_noted_and_stops_nothing_else() -> None:
    made = rule(
        f"{FREE} < 1",
        EvidenceSpec(expr="rate($instance)", events="", last=MINUTE),
        EvidenceSpec(expr=f"{FREE} + on() {FREE}", events="", last=MINUTE),
        EvidenceSpec(expr="", events='{instance="$instance"}', last=5 * MINUTE),
    )
    document = gather(made, ALERT, STORED, [event("no space")])
    assert len(document["notes"]) == 2
    assert document["notes"][0].startswith("rate(a): ")
    assert document["notes"][1].startswith(f"{FREE} + on() {FREE}: ")
    assert len(document["events"]) == 1
    assert document["inputs"][0]["series"]


def test_a_store_that_fails_leaves_a_note() -> None:
    class Broken:
        def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
            raise OSError("disk on fire")

        def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
            raise OSError("disk on fire")

        def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
            raise OSError("disk on fire")

    def broken(matchers: Sequence[Matcher], start: int, end: int, limit: int) -> list[Event]:
        raise OSError("disk on fire")

    told: list[int] = []
    evidence = StoreEvidence(Broken(), broken, lambda _, missing: told.append(missing))
    (document,) = evidence.gather([(DISK, ALERT)], T0)
    assert told == [5]
    assert document["notes"] == [
        f"{step}: disk on fire" for step in ("inputs", "values", "events", "changes", "processes")
    ]


def test_a_round_of_many_tasks_does_not_wait_for_all_their_evidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("forewarn_collector.tasks.evidence.time.monotonic", lambda: next(clock))
    evidence = StoreEvidence(source_of(STORED), lambda *_: [])
    documents = evidence.gather([(DISK, ALERT)] * 50, T0)
    assert len(documents) == 50
    assert documents[-1]["notes"] == [
        "values: gathering took too long; they come with what came after",
        *(
            f"{step}: left out, gathering took too long"
            for step in ("inputs", "events", "changes", "processes")
        ),
    ]


def test_of_hosts_that_share_a_name_each_customer_sees_its_own() -> None:
    stored = {
        labels: [(T0 - k * MINUTE, float(value)) for k in range(30)]
        for labels, value in (
            (series("x", instance="web-1", customer="acme"), 1),
            (series("x", instance="web-1", customer="bravo"), 20),
            (series("x", instance="web-1"), 300),
            (series("limit", customer="bravo"), 4_000),
            (series("app_info", instance="web-1", customer="bravo", version="b-1"), 1),
        )
    }
    stored[series("app_info", instance="web-1", customer="bravo", version="b-2")] = [(T0, 1.0)]
    events = [
        Event(
            T0 - MINUTE, "deploy", Severity.ERROR,
            labels_from({"instance": "web-1", "customer": who}), f"of {who}", who, {},
        )
        for who in ("acme", "bravo")
    ]  # fmt: skip

    def told(matchers: Sequence[Matcher], start: int, end: int, limit: int) -> list[Event]:
        meets = labels_predicate([each for each in matchers if each.name != "type"])
        return [each for each in events if meets(each.labels)]

    asked = (
        EvidenceSpec('sum by (customer) (x{instance="$instance"})', "", HOUR),
        EvidenceSpec("limit", "", HOUR),
        EvidenceSpec("", '{instance="$instance"}', HOUR),
    )
    # It is acme's whatever is summed up, since the rule says so.
    made = rule("sum by (instance) (x) > 0", *asked)
    alert = replace(
        alert_of(made, {"instance": "web-1"}),
        labels=labels_from({"alertname": "Full", "instance": "web-1", "customer": "acme"}),
    )
    evidence = StoreEvidence(source_of(stored), told)
    (document,) = evidence.gather([(made, alert)], T0)
    (after,) = evidence.follow_up([document], T0)
    assert document["notes"] == []
    # Its own and what is nobody's: 1 + 300.
    assert {value for _, value in document["values"]["samples"]} == {"301"}
    assert {value for _, value in after["values"]["samples"]} == {"301"}
    assert [len(each["series"]) for each in document["queries"]] == [2, 0]
    assert [each["body"] for each in document["events"]] == ["of acme"]
    assert "bravo" not in json.dumps([document, after])
    assert "b-" not in json.dumps(document["changes"])


@pytest.mark.parametrize(
    "value", ['a"b', "a'b", "a\\b", "a\nb", "a`b", '"} or up{x="', "$instance", "ü"]
)
def test_a_label_cannot_break_out_of_its_quotes(value: str) -> None:
    labels = labels_from({"instance": value})
    for quote in ('"', "'"):
        text = substitute(f"up{{instance={quote}$instance{quote}}}", labels)
        (selector,) = compile_query(text).selectors
        assert Matcher("instance", MatchOp.EQUAL, value) in selector.matchers


def test_an_absent_label_is_empty_and_other_dollars_stay() -> None:
    assert substitute('x{a="$none", b="$", c="${a}s$a"}', (("a", "v"),)) == (
        'x{a="", b="$", c="vsv"}'
    )
