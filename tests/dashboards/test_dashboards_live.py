"""The dashboards and Grafana's data sources against a real collector, fed by a real agent."""

from __future__ import annotations

import itertools
import json
import math
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.promql import nodes
from forewarn_collector.promql.parse import parse
from support.dashboards import FILES, FOLDER, Target, columns, document, filled, targets
from support.watched_shop import CUSTOMER, HOST, RECORDED, URL, WatchedShop, watched_shop

TARGETS = targets()
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
EACH_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

_FALLS = "this machine's disk need not fill up while the tests run"
_HOUR = "it looks once an hour, and the test has seconds"
_READS = "a disk need not be read from while the tests run"
RECORDED_ONLY = {
    "forewarn-disks: File systems A": _FALLS,
    "forewarn-disks: Next is full in A": _FALLS,
    "forewarn-disks: Days left A": _FALLS,
    "forewarn-disks: Time of a disk operation A": _READS,
    "forewarn-disks: Hosts with least room A": _HOUR,
    "forewarn-disks: Hosts with least room B": _HOUR,
    "forewarn-host: Time of a disk operation A": _READS,
    "forewarn-host: Time of a disk operation B": _READS,
    "forewarn-host: Limits of the system D": "the kernel need not track connections",
    "forewarn-service: Next certificate expires in A": "no check here has TLS",
    "forewarn-service: Certificates A": "no check here has TLS",
    "forewarn-itself: Disk C": "samples are sealed only after five minutes",
    "forewarn-itself: Alerts to Alertmanagers A": "no Alertmanager takes alerts here",
    "forewarn-itself: Alerts to Alertmanagers B": "no Alertmanager takes alerts here",
    "forewarn-itself: Agents in trouble A": "the agent here loses nothing",
    "forewarn-itself: Agents in trouble B": "the agent here is refused nothing",
    "forewarn-itself: Agents in trouble C": "the agent here has the collector's clock",
    "forewarn-itself: Configuration of agents A": "the agent here has a good file",
}
"""Queries that find nothing of the real host, and why: they are fed from a recorded one."""

Series = dict[str, Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedShop]:
    with watched_shop(tmp_path_factory.mktemp("dashboards")) as found:
        yield found


def result(shop: WatchedShop, expr: str, *, ranged: bool, who: str = "viewer") -> list[Series]:
    """What a query finds, asked as Grafana does."""
    now = time.time()
    if ranged:
        given = {"start": str(now - 60), "end": str(now), "step": "5"}
        answer = shop.ask("/api/v1/query_range", "POST", who, query=expr, **given)
    else:
        answer = shop.ask("/api/v1/query", "POST", who, query=expr, time=str(now))
    assert answer.status == 200, answer.body
    found: list[Series] = answer.json()["data"]["result"]
    return found


@dataclass(frozen=True)
class Shown:
    """What each panel's query finds, by its name: of all hosts, and of the real one."""

    of_all: Mapping[str, list[Series]]
    of_real: Mapping[str, list[Series]]


@pytest.fixture(scope="module")
def shown(shop: WatchedShop) -> Shown:
    """Asked at once, while what has just happened is within the ranges of all expressions."""

    def asked(**values: str) -> dict[str, list[Series]]:
        return {
            target.name: result(shop, filled(target.expr, **values), ranged=target.ranged)
            for target in TARGETS
        }

    return Shown(asked(), asked(host=HOST, service="shop", customer=CUSTOMER))


def numbers(found: list[Series]) -> list[float]:
    """The values that are numbers."""
    values = [
        float(value)
        for series in found
        for _, value in (series["values"] if "values" in series else [series["value"]])
    ]
    return [value for value in values if not math.isnan(value)]


@EACH_TARGET
def test_a_panel_has_data_of_all_hosts_and_of_the_real_one(shown: Shown, target: Target) -> None:
    assert numbers(shown.of_all[target.name])
    assert target.name in RECORDED_ONLY or numbers(shown.of_real[target.name])


def test_what_is_said_to_need_a_recorded_host_is_a_panels_query() -> None:
    assert RECORDED_ONLY.keys() <= {target.name for target in TARGETS}


TEN_YEARS = 3650 * 86_400


def plausible(unit: str, value: float) -> bool:
    """Whether a value may be one of the unit, by its family."""
    match unit:
        case "percentunit":
            # The clock of the kernel's counters is not quite that of the samples.
            return -0.001 <= value <= 1.05
        case "s":
            # A time of day would be 50 years.
            return -3600 <= value < TEN_YEARS
        case "d":
            return 0 <= value <= 3650
        case "dateTimeFromNow":
            return abs(value / 1000 - time.time()) < TEN_YEARS
        case "bytes":
            return abs(value) < 2**60
        case "binBps" | "bps":
            return 0 <= value < 2**45
        case "cps" | "iops" | "pps":
            return 0 <= value < 1e9
        case "none":
            return 0 <= value < 1e12
    raise AssertionError(f"no values are known of {unit}")


@EACH_TARGET
def test_values_are_those_of_the_unit(shown: Shown, target: Target) -> None:
    found = numbers(shown.of_all[target.name])
    if target.panel["title"] == "Error budget left":
        # The tasks of this test are few and late ones many: it may be spent many times over.
        assert max(found) <= 1
    elif target.shows_value:
        assert [value for value in found if not plausible(target.unit, value)] == []
    low, high = (target.panel["fieldConfig"]["defaults"].get(name) for name in ("min", "max"))
    if target.panel["type"] == "timeseries" and target.unit != "percentunit":
        assert low is None or min(found) >= low
        assert high is None or max(found) <= high


def labels_of(shop: WatchedShop, metric: str, known: dict[str, set[str]]) -> set[str]:
    """All labels that a metric has in the store."""
    if metric not in known:
        answer = shop.ask("/api/v1/labels", "POST", **{"match[]": metric})
        known[metric] = set(answer.json()["data"])
    return known[metric]


KNOWN: dict[str, set[str]] = {}


def unknown_labels(shop: WatchedShop, expr: str) -> set[str]:
    """Labels by which an expression chooses, groups or joins that its metrics have not."""
    tree = parse(expr)
    made = {
        node.arguments[1].value
        for node in nodes.nodes_of(tree)
        if isinstance(node, nodes.Call)
        and node.function == "label_replace"
        and isinstance(node.arguments[1], nodes.String)
    }
    missing: set[str] = set()
    for node in nodes.nodes_of(tree):
        below = {
            matcher.value
            for selector in nodes.nodes_of(node)
            if isinstance(selector, nodes.Selector)
            for matcher in selector.matchers
            if matcher.name == "__name__"
        }
        there = made.union(*(labels_of(shop, metric, KNOWN) for metric in below))
        match node:
            case nodes.Selector(matchers):
                wanted = {matcher.name for matcher in matchers}
            case nodes.Aggregation(labels=labels):
                wanted = set(labels)
            case nodes.Binary(matching=matching):
                wanted = {*matching.labels, *matching.include}
            case _:
                continue
        missing |= wanted - there
    return missing


@EACH_TARGET
def test_every_label_is_there_by_which_an_expression_chooses(
    shop: WatchedShop, target: Target
) -> None:
    assert unknown_labels(shop, filled(target.expr)) == set()


@EACH_TARGET
def test_every_label_of_a_legend_and_every_column_is_there(shown: Shown, target: Target) -> None:
    there = set().union(*(series["metric"] for series in shown.of_all[target.name]))
    assert set(re.findall(r"\{\{(\w+)\}\}", target.legend)) <= there
    if target.panel["type"] == "table":
        for other in TARGETS:
            if other.panel is target.panel:
                there |= set().union(*(series["metric"] for series in shown.of_all[other.name]))
        fields = {field for field in columns(target.panel) if not field.startswith("Value #")}
        assert fields <= there


def found_by(shop: WatchedShop, variable: dict[str, Any], who: str = "viewer") -> list[str]:
    """The values of a variable, asked as Grafana's data source asks for them."""
    query = variable["query"]["query"]
    labels = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    if labels:
        selector, label = labels.groups()
        path = f"/api/v1/label/{label}/values"
        answer = shop.ask(path, who=who, **{"match[]": filled(selector)})
        values: list[str] = answer.json()["data"]
        return values
    text = query.removeprefix("query_result(").removesuffix(")")
    found = result(shop, filled(text, **{"1": "$1"}), ranged=False, who=who)
    # As Grafana writes a result, of which the variable's regex then takes a part.
    texts = [
        "{" + ",".join(f'{name}="{value}"' for name, value in series["metric"].items()) + "} 1"
        for series in found
    ]
    matches = (re.search(variable["regex"].strip("/"), each) for each in texts)
    return list(dict.fromkeys(match[1] for match in matches if match))


@EACH_FILE
def test_the_variables_are_filled_from_the_collector(shop: WatchedShop, path: Path) -> None:
    expected = {
        "customer": [CUSTOMER],
        "host": [HOST],
        "service": ["shop"],
        "collector": [URL],
        "own": [shop.collector.url.removeprefix("http://")],
    }
    for variable in document(path)["templating"]["list"]:
        if variable["type"] == "query":
            assert found_by(shop, variable) == expected[variable["name"]], variable["name"]
            if variable["name"] != "own":
                assert found_by(shop, variable, "customer") == expected[variable["name"]]


def noted(shop: WatchedShop, note: dict[str, Any]) -> list[tuple[float, float, str, str]]:
    """Start and end (s), title and text of an annotation's events, grouped as Grafana does it.

    Source: grafana/grafana packages/grafana-prometheus/src/datasource.ts.
    """
    step, now = 60, time.time()
    query = {"query": filled(note["expr"]), "step": str(step)}
    times = {"start": str(now - 3600), "end": str(now)}
    answer = shop.ask("/api/v1/query_range", "POST", **query, **times)
    assert answer.status == 200, answer.body
    events = []
    for series in answer.json()["data"]["result"]:
        points = [(float(at), float(value)) for at, value in series["values"]]
        if note["useValueForTime"]:
            moments = [value / 1000 for _, value in points]
        else:
            moments = [at for at, value in points if value > 0]
        texts = [
            re.sub(r"\{\{(\w+)\}\}", lambda m: series["metric"].get(m[1], ""), note[name])  # noqa: B023
            for name in ("titleFormat", "textFormat")
        ]
        spans: list[list[float]] = []
        for at in moments:
            if spans and spans[-1][1] + step >= at:
                spans[-1][1] = at
            else:
                spans.append([at, at])
        events += [(start, end, texts[0], texts[1]) for start, end in spans]
    return events


@EACH_FILE
def test_annotations_find_tasks_and_changes(shop: WatchedShop, path: Path) -> None:
    for note in document(path)["annotations"]["list"]:
        events = noted(shop, note)
        assert events, note["name"]
        assert not unknown_labels(shop, filled(note["expr"])), note["name"]
        assert all(title and "{{" not in title for _, _, title, _ in events)
        titles = [title for _, _, title, _ in events]
        if note["name"] == "Tasks":
            # One span for each task that stands, whatever was done to it meanwhile.
            standing = {
                task["number"]: task
                for task in shop.collector.tasks()
                if task["state"] not in ("resolved", "closed")
            }
            assert sorted(titles) == sorted(f"{n} {t['title']}" for n, t in standing.items())
            assert f'<a href="{URL}/tasks/{titles[0].split()[0]}"' in events[0][3]
        if note["name"] == "Reboots":
            (start, _, title, _), *rest = [event for event in events if RECORDED in event[2]]
            assert (title, rest) == (f"{RECORDED} was started", [])
            assert abs(start - (time.time() - 3600)) < 120
        if note["name"] == "Versions":
            (event,) = [event for event in events if RECORDED in event[2]]
            assert abs(event[0] - (time.time() - 300)) < 120
            assert event[3].startswith("agent 0.1.0 ")


def test_the_figures_are_those_of_what_happened(shop: WatchedShop) -> None:
    figures = {
        (target.board, target.panel["title"]): numbers(
            result(shop, filled(target.expr, host=HOST), ranged=False)
        )
        for target in TARGETS
        if target.panel["type"] == "stat"
    }
    tasks = figures["forewarn-tasks", "Open"], figures["forewarn-tasks", "With nobody"]
    # Of five, one was resolved and one more acknowledged.
    assert tasks == ([4], [3])
    assert figures["forewarn-tasks", "Urgent"] == [2]
    assert figures["forewarn-tasks", "Overdue"] == [0]
    assert figures["forewarn-tasks", "Ended within a day"] == [1]
    assert figures["forewarn-tasks", "Deliveries owed"][0] >= 1
    assert figures["forewarn-overview", "Open tasks"] == [4]
    assert figures["forewarn-overview", "Hosts up"] == [1]
    assert figures["forewarn-overview", "Hosts silent"] == [0]
    assert figures["forewarn-service", "Services running"] == [1]
    assert figures["forewarn-service", "Checks failing"] == [0]
    assert figures["forewarn-service", "Next certificate expires in"] == []
    assert figures["forewarn-itself", "Rules as in their files"] == [1]


def test_a_disk_that_fills_up_is_full_when_its_slope_says(shop: WatchedShop) -> None:
    # 1 MB a second from 10 GB: 10,000 s, which is 0.116 days.
    (target,) = [t for t in TARGETS if t.name == "forewarn-disks: Next is full in A"]
    (left,) = numbers(result(shop, filled(target.expr, host=RECORDED), ranged=False))
    assert left == pytest.approx(1e10 / 1e6 / 86_400, rel=0.02)


def test_a_tasks_row_leads_to_its_page(shop: WatchedShop) -> None:
    found = result(shop, "forewarn_task_info", ranged=False)
    assert len(found) == 5
    for series in found:
        assert series["metric"]["url"] == f"{URL}/tasks/{series['metric']['task']}"
    assert shop.ask("/tasks/FW-1").status == 200


def test_a_customers_token_sees_its_own_tasks_as_series_and_nothing_of_others(
    shop: WatchedShop,
) -> None:
    found = result(shop, "forewarn_task_info", ranged=False, who="customer")
    assert {series["metric"]["customer"] for series in found} == {CUSTOMER}
    assert result(shop, 'forewarn_tasks{customer!="acme"}', ranged=False, who="customer") == []
    assert result(shop, "forewarn_tasks", ranged=False, who="customer")
    assert result(shop, "forewarn_store_series", ranged=False, who="customer") == []


# What Grafana's data sources call. Source: grafana/grafana pkg/promlib (health check, resources),
# packages/grafana-prometheus, public/app/plugins/datasource/alertmanager, and
# public/app/features/alerting/unified/api.

BOTH = pytest.mark.parametrize("method", ["GET", "POST"])


def data(shop: WatchedShop, path: str, method: str, **given: str | list[str]) -> Any:
    """The data of an answer in Prometheus' envelope."""
    answer = shop.ask(path, method, **given)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    assert document["status"] == "success"
    return document["data"]


@BOTH
def test_the_health_check_is_one_and_one_at_the_fourth_second(
    shop: WatchedShop, method: str
) -> None:
    found = data(shop, "/api/v1/query", method, query="1+1", time="4")
    assert found == {"resultType": "scalar", "result": [4, "2"]}


def test_buildinfo_tells_a_version_by_which_grafana_chooses_what_to_ask(shop: WatchedShop) -> None:
    found = data(shop, "/api/v1/status/buildinfo", "GET")
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    # Mimir has these; without them Grafana takes it for a Prometheus.
    assert "application" not in found
    assert "features" not in found


@BOTH
def test_labels_and_series_are_found_by_selectors_and_times(shop: WatchedShop, method: str) -> None:
    now = time.time()
    times = {"start": f"{now - 3600:.3f}", "end": f"{now:.3f}"}
    everything = '{__name__!=""}'
    labels = data(shop, "/api/v1/labels", method, **times)
    assert {"__name__", "instance", "job", "customer"} <= set(labels)
    some = data(shop, "/api/v1/labels", method, **times, **{"match[]": "up"})
    assert some == ["__name__", "customer", "instance", "job"]
    series = data(shop, "/api/v1/series", method, **times, **{"match[]": everything})
    assert {"__name__": "up", "customer": CUSTOMER, "instance": HOST, "job": "node"} in series
    two = ["up", 'node_load1{instance="shop-1"}']
    pair = data(shop, "/api/v1/series", method, **times, **{"match[]": two})
    assert sorted(each["__name__"] for each in pair) == ["node_load1", "up"]
    first = data(shop, "/api/v1/series", method, limit="1", **{"match[]": everything})
    assert len(first) == 1


def test_label_values_are_found_also_by_encoded_names(shop: WatchedShop) -> None:
    now = time.time()
    times = {"start": f"{now - 3600:.0f}", "end": f"{now:.0f}", "limit": "40000"}
    names = data(shop, "/api/v1/label/__name__/values", "GET", **times)
    assert {"up", "ALERTS", "forewarn_task_info", "node_cpu_seconds_total"} <= set(names)
    modes = data(shop, "/api/v1/label/mode/values", "GET", **{"match[]": "node_cpu_seconds_total"})
    assert "idle" in modes
    assert data(shop, "/api/v1/label/U__instance/values", "GET", **{"match[]": "up"}) == [HOST]


@BOTH
def test_query_and_query_range_answer_as_their_frames_need(shop: WatchedShop, method: str) -> None:
    now = time.time()
    found = data(shop, "/api/v1/query", method, query="up", time=f"{now:.3f}")
    assert found["resultType"] == "vector"
    (series,) = found["result"]
    assert series["value"][1] == "1"
    times = {"start": f"{now - 60:.3f}", "end": f"{now:.3f}", "step": "15"}
    found = data(shop, "/api/v1/query_range", method, query="up", **times)
    assert found["resultType"] == "matrix"
    moments = [at for at, _ in found["result"][0]["values"]]
    assert all(after - before == 15 for before, after in itertools.pairwise(moments))


@BOTH
def test_exemplars_are_none_and_a_wrong_query_is_said_in_prometheus_words(
    shop: WatchedShop, method: str
) -> None:
    now = int(time.time() * 1000)
    times = {"start": str(now - 1_800_000), "end": str(now)}
    assert data(shop, "/api/v1/query_exemplars", method, query="test", **times) == []
    wrong = shop.ask("/api/v1/query", method, query="rate(up)")
    assert wrong.status == 400
    assert wrong.json()["errorType"] == "bad_data"


def test_metadata_rules_and_alerts_are_in_prometheus_shape(shop: WatchedShop) -> None:
    metadata = data(shop, "/api/v1/metadata", "GET", limit="40000")
    assert all({"type", "help", "unit"} == set(each[0]) for each in metadata.values())
    assert metadata["forewarn_ingest_samples_total"][0]["type"] == "counter"
    assert metadata["forewarn_onset_to_task_seconds"][0]["type"] == "histogram"
    assert metadata["forewarn_tasks"][0]["help"].startswith("Tasks that stand")
    groups = data(shop, "/api/v1/rules", "GET")["groups"]
    (group,) = [each for each in groups if each["name"] == "dashboards"]
    assert {"name", "file", "interval", "rules", "lastEvaluation", "evaluationTime"} <= set(group)
    rule = next(each for each in group["rules"] if each["name"] == "HostReports")
    assert (rule["type"], rule["state"], rule["health"]) == ("alerting", "firing", "ok")
    assert {"query", "duration", "labels", "annotations", "alerts"} <= set(rule)
    alerts = data(shop, "/api/v1/alerts", "GET")["alerts"]
    assert {"labels", "annotations", "state", "activeAt", "value"} <= set(alerts[0])


def test_the_alertmanager_data_source_takes_the_collector_for_a_prometheus_one(
    shop: WatchedShop,
) -> None:
    # It asks this first, and takes any 200 for Mimir.
    assert shop.ask("/alertmanager/api/v2/status").status == 404
    status = shop.ask("/api/v2/status").json()
    assert {"cluster", "config", "versionInfo", "uptime"} <= set(status)
    assert "original" in status["config"]
    assert shop.ask("/api/v2/receivers").json()
    groups = shop.ask("/api/v2/alerts/groups", silenced="true", active="true").json()
    names = {alert["labels"]["alertname"] for group in groups for alert in group["alerts"]}
    assert "HostReports" in names
    alerts = shop.ask("/api/v2/alerts", filter='alertname="HostReports"').json()
    (alert,) = alerts
    assert alert["status"]["state"] == "active"
    assert {"fingerprint", "startsAt", "endsAt", "receivers", "annotations"} <= set(alert)


def test_silences_are_made_seen_and_ended_as_grafanas_page_does(shop: WatchedShop) -> None:
    silence = {
        "matchers": [{"name": "alertname", "value": "X", "isRegex": False, "isEqual": True}],
        "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "2096-01-01T00:00:00.000Z",
        "createdBy": "ann",
        "comment": "by Grafana",
    }
    body = json.dumps(silence).encode()
    assert shop.ask("/api/v2/silences", "POST").status == 403, "a viewer may not"
    made = shop.collector.post("/api/v2/silences", body, Content_Type="application/json")
    assert made.status == 200, made.body
    number = made.json()["silenceID"]
    listed = shop.ask("/api/v2/silences").json()
    assert [each["comment"] for each in listed if each["id"] == number] == ["by Grafana"]
    assert shop.ask(f"/api/v2/silence/{number}").json()["status"]["state"] == "active"
    assert shop.ask(f"/api/v2/silence/{number}", "DELETE").status == 403


DOCUMENT = (FOLDER.parent / "docs" / "grafana.md").read_text()


def test_the_documents_expressions_find_what_they_say(shop: WatchedShop) -> None:
    (block,) = re.findall(r"```promql\n(.*?)```", DOCUMENT, re.DOTALL)
    expressions = block.strip().splitlines()
    assert len(expressions) == 5
    for expr in expressions:
        if "due" in expr:
            # No task is overdue here.
            assert result(shop, expr.replace("< time()", "> time()"), ranged=False), expr
        else:
            assert result(shop, expr, ranged=False), expr
        assert unknown_labels(shop, expr) == set()


def test_the_documents_infinity_query_finds_a_tables_columns(shop: WatchedShop) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    query = json.loads(block)
    path, _, given = query["url"].partition("?")
    answer = shop.ask(path.removeprefix("http://127.0.0.1:9815"), **urllib.parse.parse_qs(given))
    assert answer.status == 200, answer.body
    rows = answer.json()[query["root_selector"]]
    assert {row["state"] for row in rows} == {"open", "acknowledged"}
    kinds = {"string": str, "number": int, "timestamp_epoch": int}
    for row in rows:
        for column in query["columns"]:
            value = row
            for name in column["selector"].split("."):
                value = value[name]
            assert isinstance(value, kinds[column["type"]]), column
            if column["type"] == "timestamp_epoch":
                assert plausible("dateTimeFromNow", value)
