"""The dashboards: the JSON is what the code makes; every query gives data on a live collector."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from forewarn_collector.promql import compile_query
from support.servers import RunningCollector, free_port, program, running_agent, running_collector
from support.waiting import wait_until

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
HOST = "shop-1"

RULES = """\
groups:
  - name: dashboard
    rules:
      - alert: HostReports
        expr: up{job="node"} == 1
        labels: {severity: high}
"""


def panels(path: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard that show something."""
    found = json.loads(path.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def filled(text: str, instance: str = ".*") -> str:
    """An expression as Grafana sends it, with All chosen for what is not given."""
    values = {
        "customer": ".*",
        "instance": instance,
        "__rate_interval": "1m",
        "__range": "6h",
    }
    return re.sub(r"\$(\w+)", lambda match: values[match.group(1)], text)


PANELS = [(path, panel) for path in FILES for panel in panels(path)]
EACH_PANEL = pytest.mark.parametrize(
    ("path", "panel"), PANELS, ids=[f"{path.stem}: {panel['title']}" for path, panel in PANELS]
)
EXPRESSIONS = [
    (target["expr"], bool(target.get("range")))
    for _, panel in PANELS
    for target in panel["targets"]
]
EACH_EXPRESSION = pytest.mark.parametrize(
    ("expr", "ranged"), EXPRESSIONS, ids=[expr for expr, _ in EXPRESSIONS]
)


def test_the_committed_json_is_what_the_code_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(FOLDER / "build.py"), str(tmp_path)], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in FILES}, "run make dashboards"


@EACH_PANEL
def test_a_panel_says_what_it_shows_and_in_which_unit(path: Path, panel: dict[str, Any]) -> None:
    assert panel["description"]
    defaults = panel["fieldConfig"]["defaults"]
    overridden = [
        properties["id"]
        for override in panel["fieldConfig"]["overrides"]
        for properties in override["properties"]
    ]
    assert "unit" in defaults or "unit" in overridden
    assert panel["targets"]


@EACH_PANEL
def test_a_panel_asks_the_data_source_that_was_chosen(path: Path, panel: dict[str, Any]) -> None:
    asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source["uid"] == "${datasource}" for source in asked)
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_have_ids_of_their_own_and_do_not_overlap(path: Path) -> None:
    found = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.server
def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:expression:{i}", "expr": filled(expr)}
        for i, (expr, _) in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    checked = subprocess.run(
        [program("promtool"), "check", "rules", str(file)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@EACH_EXPRESSION
def test_an_expression_compiles(expr: str, ranged: bool) -> None:
    assert compile_query(filled(expr)).result_type in {"vector", "scalar"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    """A collector with an agent, an open task, and a delivery that nobody takes.

    Its own figures are stored every 15 s: a task opens between the first time and the second.
    """
    folder = tmp_path_factory.mktemp("dashboards")
    (folder / "rules.yml").write_text(RULES)
    config = folder / "collector.yml"
    queue = f"{{kind: webhook, url: 'http://127.0.0.1:{free_port()}/'}}"
    config.write_text(
        f"rules: ['{folder}/rules.yml']\nqueues: {{nobody: {queue}}}\ndefault_queue: nobody\n"
    )
    with running_collector(folder, "--config", str(config)) as collector:
        wait_until(
            "the collector's own figures", lambda: collector.query("forewarn_ingest_samples_total")
        )
        with running_agent(
            folder,
            collector.url,
            f"instance: {HOST}\ninterval: 1s\n",
            token_file=collector.data / "token",
        ):
            wait_until("the task is open", collector.tasks)
            wait_until(
                "the task is counted",
                lambda: collector.query("increase(forewarn_onset_to_task_seconds_count[1m]) > 0"),
                40,
                pause=0.2,
            )
            yield collector


def numbers(collector: RunningCollector, expr: str, ranged: bool) -> list[float]:
    """The values of a query that are numbers, asked as Grafana does."""
    now = time.time()
    if ranged:
        answer = collector.get(
            "/api/v1/query_range", query=expr, start=str(now - 60), end=str(now), step="5"
        )
    else:
        answer = collector.get("/api/v1/query", query=expr, time=str(now))
    assert answer.status == 200, answer.body
    result = answer.json()["data"]["result"]
    values = [
        float(value)
        for series in result
        for _, value in (series["values"] if ranged else [series["value"]])
    ]
    return [value for value in values if not math.isnan(value)]


@EACH_EXPRESSION
@pytest.mark.parametrize("instance", [".*", HOST])
def test_an_expression_gives_data(
    live: RunningCollector, expr: str, ranged: bool, instance: str
) -> None:
    assert numbers(live, filled(expr, instance), ranged)


def test_the_figures_are_those_of_what_happened(live: RunningCollector) -> None:
    shown = {
        panel["title"]: numbers(live, filled(panel["targets"][0]["expr"]), False)
        for path, panel in PANELS
        if panel["type"] == "stat"
    }
    assert shown["Open tasks"] == [1]
    assert shown["Of these urgent"] == [1]
    assert shown["Hosts up"] == [1]
    assert shown["Hosts silent"] == [0]
    assert shown["Deliveries owed"] == [1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_list_of_hosts_is_filled_from_the_collector(live: RunningCollector, path: Path) -> None:
    variables = json.loads(path.read_text())["templating"]["list"]
    query = next(v["query"]["query"] for v in variables if v["name"] == "instance")
    selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
    answer = live.get(f"/api/v1/label/{label}/values", **{"match[]": filled(selector)})
    assert answer.json()["data"] == [HOST]


def test_the_provisioning_leads_to_the_collector_and_to_the_dashboards() -> None:
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/forewarn.yml").read_text())
    assert sources["apiVersion"] == 1
    (source,) = sources["datasources"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
    assert source["url"] == "http://127.0.0.1:9815", "the collector's default address"
    providers = yaml.safe_load((FOLDER / "provisioning/dashboards/forewarn.yml").read_text())
    (provider,) = providers["providers"]
    assert provider["options"]["path"] in (FOLDER / "README.md").read_text()
