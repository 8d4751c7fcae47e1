"""The Prometheus HTTP API beside a real Prometheus that sends what it knows here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api_calls import ask, data
from support.servers import (
    RunningCollector,
    answers,
    call,
    free_port,
    program,
    running,
    running_collector,
)
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, write_body

pytestmark = pytest.mark.server

SHARED = Path(__file__).resolve().parents[3] / "shared"
RULES = """
groups:
  - name: first
    interval: 1s
    rules:
      - {record: 'job:up:sum', expr: sum by (job) (up), labels: {team: a}}
      - {alert: SelfUp, expr: 'up{job="self"} == 1', labels: {severity: info}}
      - {alert: Never, expr: 'up > 5', labels: {severity: high}}
  - name: second
    interval: 1s
    rules:
      - {alert: Always, expr: vector(0.25), labels: {severity: high}}
  - name: third
    interval: 1s
    rules:
      - {record: one, expr: vector(1)}
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, RunningCollector]]:
    """The address of a Prometheus that scrapes itself, and the collector that it writes to."""
    folder = tmp_path_factory.mktemp("api")
    prometheus, port = program("prometheus"), free_port()
    rules = folder / "rules.yml"
    rules.write_text(RULES)
    with running_collector(folder, "--no-auth", "--rules", str(rules)) as collector:
        config = folder / "prometheus.yml"
        config.write_text(
            f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
remote_write:
  - url: {collector.url}/api/v1/write
    metadata_config: {{send_interval: 1s}}
"""
        )
        command = [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(command, folder / "prometheus.log"):
            url = f"http://127.0.0.1:{port}"
            wait_until("Prometheus is ready", lambda: answers(f"{url}/-/ready"))
            wait_until("it has scraped itself", lambda: collector.query('up{job="self"}'))
            wait_until(
                "its rules have fired", lambda: data(url, "alerts", type="alert")["alerts"], 60
            )
            yield url, collector


def checked(url: str) -> tuple[str, set[tuple[str, str]]]:
    """The verdict of the check of answers against Prometheus' own schema, and what failed."""
    tool, spec = SHARED / "tools" / "openapi_check.py", SHARED / "data/openapi/prometheus.yaml"
    if not tool.exists():
        pytest.skip("the shared tools are not here")
    done = subprocess.run(
        [sys.executable, str(tool), url, str(spec)], capture_output=True, text=True, check=True
    )
    *failures, verdict = done.stdout.splitlines()
    return verdict, {tuple(line.split()[1:3]) for line in failures}  # type: ignore[misc]


def test_answers_meet_prometheus_schema_but_for_its_own_mistake(
    servers: tuple[str, RunningCollector],
) -> None:
    prometheus, collector = servers
    # A string's time is a number, which the schema forgets; of Prometheus, too, it finds that.
    verdict, failed = checked(collector.url)
    assert failed == {("200", "/query")}
    assert verdict == "26 / 27"
    assert failed <= checked(prometheus)[1]


UNSORTED = (
    'label_replace(vector(1), "b", "x", "", "") or label_replace(vector(2), "a", "x", "", "")'
    " or vector(3)"
)
REFUSED: list[tuple[str, dict[str, str]]] = [
    ("query", {}),
    ("query", {"query": "up", "time": "x"}),
    ("query", {"query": "up", "timeout": "x"}),
    ("query_range", {"query": "up"}),
    ("query_range", {"query": "up", "start": "0", "end": "x", "step": "1"}),
    ("query_range", {"query": "up", "start": "10", "end": "0", "step": "1"}),
    ("query_range", {"query": "up", "start": "0", "end": "10", "step": "0"}),
    ("query_range", {"query": "up", "start": "0", "end": "10", "step": "x"}),
    ("query_range", {"query": "up", "start": "0", "end": "100000", "step": "1"}),
    ("series", {}),
    ("series", {"match[]": '{x=""}'}),
    ("series", {"match[]": "up", "start": "x"}),
    ("labels", {"match[]": '{a=~".*"}'}),
    ("labels", {"start": "x"}),
    ("label/job/values", {"end": "x"}),
    ("metadata", {"limit": "x"}),
    ("query_exemplars", {}),
    ("query_exemplars", {"query": "up", "start": "x"}),
    ("query_exemplars", {"query": "up", "start": "10", "end": "5"}),
    ("rules", {"type": "x"}),
    ("format_query", {}),
]


@pytest.mark.parametrize(("path", "given"), REFUSED)
def test_what_prometheus_refuses_is_refused_in_its_words(
    servers: tuple[str, RunningCollector], path: str, given: dict[str, str]
) -> None:
    prometheus, collector = servers
    theirs, ours = ask(prometheus, path, **given), ask(collector.url, path, **given)
    assert (ours.status, ours.json()) == (theirs.status, theirs.json())
    assert ours.status >= 400


def test_a_query_that_takes_too_long_times_out(servers: tuple[str, RunningCollector]) -> None:
    for url in (servers[0], servers[1].url):
        answer = ask(url, "query", query="up", timeout="0.0000001")
        assert (answer.status, answer.json()["errorType"]) == (503, "timeout")
        # In the queue or in execution, as it happens.
        assert answer.json()["error"].startswith("query timed out in query ")


@pytest.mark.parametrize(
    ("path", "given"),
    [
        # Changed from 2.42 to 3: these are Prometheus 3's words.
        ("query_range", {"query": "up[1m]", "start": "0", "end": "9", "step": "1"}),
        ("query_range", {"query": '"x"', "start": "0", "end": "9", "step": "1"}),
    ],
)
def test_a_type_that_has_no_range_is_refused(
    servers: tuple[str, RunningCollector], path: str, given: dict[str, str]
) -> None:
    prometheus, collector = servers
    theirs, ours = ask(prometheus, path, **given).json(), ask(collector.url, path, **given).json()
    assert ours["error"] == 'invalid parameter "query": ' + theirs["error"]


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("query", {"query": "time()", "time": "1435781430.781"}),
        ("query", {"query": "vector(1e20)", "time": "1435781430.1"}),
        ("query", {"query": "vector(1e-7)", "time": "-1.5"}),
        ("query_range", {"query": "time()", "start": "1.5", "end": "9", "step": "2.5"}),
        ("query_range", {"query": UNSORTED, "start": "0", "end": "9", "step": "3"}),
        ("query", {"query": "time()", "time": "0.0005"}),
        ("query_exemplars", {"query": "up"}),
    ],
)
def test_an_answer_is_prometheus_answer(
    servers: tuple[str, RunningCollector], path: str, given: dict[str, str], post: bool
) -> None:
    prometheus, collector = servers
    theirs, ours = (ask(url, path, post=post, **given) for url in (prometheus, collector.url))
    assert (ours.status, ours.json()) == (theirs.status, theirs.json())


def test_expressions_are_formatted_as_prometheus_formats_them(
    servers: tuple[str, RunningCollector],
) -> None:
    prometheus, collector = servers
    file = SHARED / "data" / "dashboards" / "node-exporter-full.jsonl"
    if not file.exists():
        pytest.skip("the shared dashboards are not here")
    known = [json.loads(line) for line in file.read_text().splitlines()]
    exprs = sorted({each["filled"] for each in known if "filled" in each})
    assert len(exprs) > 100
    for expr in exprs:
        theirs = ask(prometheus, "format_query", post=True, query=expr)
        ours = ask(collector.url, "format_query", post=True, query=expr)
        assert (ours.status, ours.json()) == (theirs.status, theirs.json()), expr


def test_metadata_arrives_by_remote_write(servers: tuple[str, RunningCollector]) -> None:
    prometheus, collector = servers
    assert data(prometheus, "metadata", metric="prometheus_build_info")

    def is_here() -> bool:
        # Prometheus learns more families as it goes on, and sends them a second later.
        theirs, ours = data(prometheus, "metadata"), data(collector.url, "metadata")
        sent = {name: ours[name] for name in ours if not name.startswith("forewarn_")}
        return bool(sent == {name: entries[-1:] for name, entries in theirs.items()})

    wait_until("the metadata is here", is_here)
    assert len(data(collector.url, "metadata", limit="2")) == 2
    assert data(collector.url, "metadata", metric="unheard_of") == {}


def test_labels_and_values_are_limited_and_filtered(servers: tuple[str, RunningCollector]) -> None:
    prometheus, collector = servers
    selector = {"match[]": '{job="self",__name__=~"prometheus_(engine|tsdb).*"}'}
    for path in ("labels", "label/__name__/values", "label/slice/values"):
        assert data(collector.url, path, **selector) == data(prometheus, path, **selector)
    by_labels = [
        sorted(data(url, "series", **selector), key=lambda labels: sorted(labels.items()))
        for url in (prometheus, collector.url)
    ]
    assert by_labels[0] == by_labels[1]
    for path in ("labels", "label/__name__/values", "series"):
        answer = ask(collector.url, path, limit="3", **selector).json()
        assert len(answer["data"]) == 3
        assert answer["warnings"] == ["results truncated due to limit"]
    assert data(collector.url, "labels", start="1", end="2", **selector) == []


def test_a_query_is_limited_and_says_so(servers: tuple[str, RunningCollector]) -> None:
    _, collector = servers
    for path, given in (("query", {}), ("query_range", {"start": "0", "end": "1", "step": "1"})):
        query = 'label_replace(vector(1), "a", "b", "", "") or vector(2)'
        answer = ask(collector.url, path, query=query, limit="1", **given).json()
        assert len(answer["data"]["result"]) == 1
        assert answer["warnings"] == ["results truncated due to limit"]
        answer = ask(collector.url, path, query=query, limit="2", **given).json()
        assert "warnings" not in answer


def test_the_look_back_of_a_query_can_be_chosen(servers: tuple[str, RunningCollector]) -> None:
    _, collector = servers
    body = write_body({"chosen": 1.0}, 1_000_000, job="x")
    # Far from what others send: a store keeps what lies within retention of the newest sample.
    assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status == 204
    found = {
        lookback: len(
            data(collector.url, "query", query="chosen", time="1060", lookback_delta=lookback)[
                "result"
            ]
        )
        for lookback in ("1m", "61s", "")
    }
    assert found == {"1m": 0, "61s": 1, "": 1}


def test_statistics_come_where_they_are_asked_for(servers: tuple[str, RunningCollector]) -> None:
    _, collector = servers
    timings = data(collector.url, "query", query="1", stats="all")["stats"]["timings"]
    assert timings["execTotalTime"] > 0
    assert "stats" not in data(collector.url, "query", query="1")


def test_rules_are_filtered_and_come_in_pages(servers: tuple[str, RunningCollector]) -> None:
    prometheus, collector = servers

    def names(url: str, **given: Any) -> list[list[str]]:
        groups = data(url, "rules", **given)["groups"]
        return [[rule["name"] for rule in group["rules"]] for group in groups]

    assert names(collector.url) == [["job:up:sum", "SelfUp", "Never"], ["Always"], ["one"]]
    for given in ({}, {"type": "alert"}, {"type": "record"}):
        # Prometheus 2.42 shows groups of which nothing is left, 3 does not.
        expected = [rules for rules in names(prometheus, **given) if rules]
        assert names(collector.url, **given) == expected
    assert names(collector.url, **{"rule_name[]": ["Never", "one"]}) == [["Never"], ["one"]]
    assert names(collector.url, **{"rule_group[]": "second"}) == [["Always"]]
    assert names(collector.url, **{"file[]": "none"}) == []
    severe = {"match[]": ['{severity="high"}', '{team=~"a|b"}']}
    assert names(collector.url, **severe) == [["job:up:sum", "Never"], ["Always"]]

    first = data(collector.url, "rules", group_limit="2")
    assert [group["name"] for group in first["groups"]] == ["first", "second"]
    token = first["groupNextToken"]
    rest = data(collector.url, "rules", group_limit="2", group_next_token=token)
    assert [group["name"] for group in rest["groups"]] == ["third"]
    assert "groupNextToken" not in rest
    for given in (
        {"group_limit": "0"},
        {"group_limit": "x"},
        {"group_next_token": token},
        {"group_limit": "1", "group_next_token": "x"},
        {"exclude_alerts": "maybe"},
    ):
        answer = ask(collector.url, "rules", **given)
        assert (answer.status, answer.json()["errorType"]) == (400, "bad_data"), given


def test_alerts_are_prometheus_alerts(servers: tuple[str, RunningCollector]) -> None:
    prometheus, collector = servers

    def firing(url: str) -> list[tuple[dict[str, str], str, str]]:
        found = data(url, "alerts")["alerts"]
        return sorted(
            ((alert["labels"], alert["state"], alert["value"]) for alert in found), key=repr
        )

    wait_until("ours fire, too", lambda: len(firing(collector.url)) == 2)
    assert firing(collector.url) == firing(prometheus)
    rules = data(collector.url, "rules", exclude_alerts="true", type="alert")["groups"]
    assert [rule["alerts"] for group in rules for rule in group["rules"]] == [[], [], []]


def test_the_cardinality_of_the_store_is_told(servers: tuple[str, RunningCollector]) -> None:
    prometheus, collector = servers
    theirs = data(prometheus, "status/tsdb")
    ours = data(collector.url, "status/tsdb", limit="5000")
    assert set(theirs) == set(ours)
    assert set(theirs["headStats"]) == set(ours["headStats"])
    # The label `slice` belongs to metrics of Prometheus' engine: four of its phases.
    values = data(prometheus, "label/slice/values")
    series = data(prometheus, "series", **{"match[]": '{slice!=""}'})
    for ranking, name, value in (
        ("seriesCountByMetricName", "prometheus_build_info", 1),
        ("seriesCountByLabelValuePair", f"slice={values[0]}", len(series) // len(values)),
        ("labelValueCountByLabelName", "slice", len(values)),
        ("memoryInBytesByLabelName", "slice", sum(len(labels["slice"]) for labels in series)),
    ):
        assert {item["name"]: item["value"] for item in ours[ranking]}[name] == value
    assert len(data(collector.url, "status/tsdb", limit="2")["seriesCountByLabelValuePair"]) == 2
    assert ask(collector.url, "status/tsdb", limit="0").status == 400


def test_settings_are_told_without_secrets(servers: tuple[str, RunningCollector]) -> None:
    _, collector = servers
    assert "retention: 400d" in data(collector.url, "status/config")["yaml"]
    assert data(collector.url, "status/flags")["no-auth"] == "true"


def test_agents_are_targets(servers: tuple[str, RunningCollector]) -> None:
    _, collector = servers
    now = int(float(data(collector.url, "query", query="time()")["result"][0]) * 1000)
    body = write_body({"forewarn_agent_interval_seconds": 10.0}, now, job="node", instance="h")
    assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status == 204
    (target,) = data(collector.url, "targets")["activeTargets"]
    assert target["labels"] == {"job": "node", "instance": "h"}
    assert (target["health"], target["scrapeInterval"], target["lastError"]) == ("up", "10s", "")
    assert data(collector.url, "scrape_pools") == {"scrapePools": ["node"]}
    for given in ({"state": "dropped"}, {"scrapePool": "other"}):
        assert data(collector.url, "targets", **given)["activeTargets"] == []


def test_an_unknown_path_is_an_error_in_the_envelope(
    servers: tuple[str, RunningCollector],
) -> None:
    _, collector = servers
    answer = ask(collector.url, "nothing/here")
    assert answer.status == 404
    assert answer.json()["errorType"] == "not_found"
    assert call(f"{collector.url}/nothing").body.startswith(b"404")


def test_promtool_queries(servers: tuple[str, RunningCollector]) -> None:
    prometheus, collector = servers
    promtool = program("promtool")

    def told(url: str, *arguments: str) -> str:
        kind, *rest = arguments
        command = [promtool, "query", kind, url, *rest]
        if kind == "range":
            command = [promtool, "query", kind, "--start=10", "--end=40", "--step=10s", url, *rest]
        if kind == "series":
            command = [promtool, "query", kind, *rest, url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    for arguments in (
        ("instant", "sum(up{job='self'}) > bool 0"),
        ("range", "vector(time()) / 3"),
        ("range", "time()"),
        ("series", '--match=up{job="self"}'),
        ("labels", "goversion"),
    ):
        ours, theirs = (told(url, *arguments) for url in (collector.url, prometheus))
        assert ours.split(" @")[0] == theirs.split(" @")[0]
        assert ours.strip()
