"""The dashboards as files: made by the code, in Grafana's schema, described, in honest units."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from forewarn_collector.promql import compile_query
from forewarn_collector.promql.parse import parse
from support.dashboards import FILES, FOLDER, Target, all_panels, document, filled, panels, targets
from support.servers import program
from support.units import UNITS, MixedError, quantity_of

BOARDS = {
    "forewarn-overview",
    "forewarn-host",
    "forewarn-service",
    "forewarn-tasks",
    "forewarn-disks",
    "forewarn-itself",
}
EACH_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
PANELS = [(path, panel) for path in FILES for panel in panels(path)]
EACH_PANEL = pytest.mark.parametrize(
    ("path", "panel"), PANELS, ids=[f"{path.stem}: {panel['title']}" for path, panel in PANELS]
)
TARGETS = targets()
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)

# Grafana's Prometheus data source reads these of an annotation; the SDK does not know them.
# Source: grafana/grafana packages/grafana-prometheus/src/datasource.ts, processAnnotationResponse.
NOTE_KEYS = {"titleFormat", "textFormat", "tagKeys", "step", "useValueForTime"}


def test_the_committed_json_is_what_the_code_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(FOLDER / "build.py"), str(tmp_path)], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in FILES}, "run make dashboards"
    assert {path.stem for path in FILES} == BOARDS


def differences(given: Any, read: Any, path: str = "") -> Iterator[str]:
    """What a document lost when it was read by the schema's types and written again."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key not in read:
                yield f"{path}/{key} is not in the schema"
            else:
                yield from differences(value, read[key], f"{path}/{key}")
    elif isinstance(given, list) and isinstance(read, list):
        if len(given) != len(read):
            yield f"{path} has {len(read)} of {len(given)}"
        for place, (one, other) in enumerate(zip(given, read, strict=False)):
            yield from differences(one, other, f"{path}/{place}")
    elif given != read:
        yield f"{path}: {given!r} is read as {read!r}"


def read_by_schema(found: dict[str, Any]) -> Any:
    """The document after the SDK's types have read it, which leave out what they do not know."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(found), cls=JSONEncoder))


@EACH_FILE
def test_a_dashboard_has_nothing_that_grafanas_schema_does_not_know(path: Path) -> None:
    found = document(path)
    for note in found["annotations"]["list"]:
        assert note.keys() >= NOTE_KEYS
        for key in NOTE_KEYS:
            del note[key]
    assert list(differences(found, read_by_schema(found))) == []


def test_the_check_by_the_schema_sees_what_is_unknown_at_any_depth() -> None:
    found = document(FILES[0])
    found["panels"][1]["fieldConfig"]["defaults"]["colour"] = "red"
    found["panels"][2]["options"]["graphMod"] = "none"
    found["templating"]["list"][0]["multiple"] = True
    assert len(list(differences(found, read_by_schema(found)))) >= 3


@EACH_FILE
def test_a_dashboard_has_what_grafana_needs_to_take_it(path: Path) -> None:
    found = document(path)
    assert found["uid"] == path.stem
    assert len(found["uid"]) <= 40, "Grafana's limit"
    assert found["title"].startswith("Forewarn: ")
    assert found["schemaVersion"] >= 36, "the first with data sources as objects"
    assert found["tags"] == ["forewarn"]
    assert not found.get("id"), "the id is given by Grafana"
    names = [variable["name"] for variable in found["templating"]["list"]]
    assert names[0] == "datasource"
    assert len(set(names)) == len(names)
    assert all(
        variable["type"] in {"datasource", "query", "custom"}
        for variable in found["templating"]["list"]
    )


@EACH_FILE
def test_panels_have_ids_and_titles_of_their_own_and_do_not_overlap(path: Path) -> None:
    found = list(all_panels(path))
    assert len({panel["id"] for panel in found}) == len(found)
    titles = [panel["title"] for panel in panels(path)]
    assert len(set(titles)) == len(titles)
    groups = [document(path)["panels"]]
    groups += [panel["panels"] for panel in groups[0] if panel.get("panels")]
    for group in groups:
        taken: set[tuple[int, int]] = set()
        for panel in group:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, panel["title"]
            cells = {
                (place["x"] + x, place["y"] + y)
                for x in range(place["w"])
                for y in range(place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells
    for panel in groups[0]:
        if panel["type"] == "row":
            assert panel["collapsed"] == bool(panel["panels"]), "Grafana drops the others' panels"


@EACH_PANEL
def test_a_panel_says_what_it_shows(path: Path, panel: dict[str, Any]) -> None:
    assert re.match(r"[A-Z1]", panel["title"])
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert panel["fieldConfig"]["defaults"]["noValue"], "an empty panel must say so"


@EACH_PANEL
def test_a_panel_asks_the_data_source_that_was_chosen(path: Path, panel: dict[str, Any]) -> None:
    asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in asked)
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@EACH_FILE
def test_a_dashboard_uses_no_variable_that_it_has_not(path: Path) -> None:
    found = document(path)
    names = {variable["name"] for variable in found["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", path.read_text()))
    theirs = {name for name in used if name.startswith("__")}
    assert used - theirs - {"1"} <= names
    assert theirs <= {
        *("__rate_interval", "__interval", "__range", "__range_s"),
        *("__data", "__field", "__url_time_range", "__all"),
    }


@EACH_FILE
def test_links_lead_to_dashboards_and_variables_that_are_there(path: Path) -> None:
    variables = {
        file.stem: {variable["name"] for variable in document(file)["templating"]["list"]}
        for file in FILES
    }
    links = re.findall(r"/d/([\w-]+)\?([^\"]*)", path.read_text())
    for uid, query in links:
        assert set(re.findall(r"var-(\w+)=", query)) <= variables[uid]


@EACH_TARGET
def test_an_expression_compiles(target: Target) -> None:
    assert compile_query(filled(target.expr)).result_type in {"vector", "scalar"}


@pytest.mark.server
def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:expression:{i}", "expr": filled(target.expr)}
        for i, target in enumerate(TARGETS)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    checked = subprocess.run(
        [program("promtool"), "check", "rules", str(file)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@EACH_TARGET
def test_an_expression_counts_in_the_unit_in_which_its_panel_shows_it(target: Target) -> None:
    found = quantity_of(parse(filled(target.expr)))
    if target.shows_value:
        shown = UNITS[target.unit]
        assert (found.seconds, found.bytes) == (shown.seconds, shown.bytes)
        assert found.scale == pytest.approx(shown.scale)


@pytest.mark.parametrize(
    ("expr", "unit"),
    [
        ("rate(node_network_receive_bytes_total[1m])", "binBps"),
        ("8 * rate(node_network_receive_bytes_total[1m])", "bps"),
        ("rate(node_cpu_seconds_total[1m])", "percentunit"),
        ("node_filesystem_avail_bytes / deriv(node_filesystem_avail_bytes[6h]) / -86400", "d"),
        ("1000 * node_boot_time_seconds", "dateTimeFromNow"),
        ("rate(node_disk_read_time_seconds_total[1m]) / rate(node_disk_reads_total[1m])", "s"),
        ("histogram_quantile(0.9, sum by (le) (rate(request_seconds_bucket[5m])))", "s"),
        ("count(node_memory_MemTotal_bytes > 1000)", "none"),
    ],
)
def test_units_follow_from_the_names_of_metrics(expr: str, unit: str) -> None:
    found = quantity_of(parse(expr))
    shown = UNITS[unit]
    assert (found.seconds, found.bytes) == (shown.seconds, shown.bytes)
    assert found.scale == pytest.approx(shown.scale)


def test_bytes_and_seconds_are_not_added() -> None:
    with pytest.raises(MixedError):
        quantity_of(parse("node_memory_MemFree_bytes + node_boot_time_seconds"))
