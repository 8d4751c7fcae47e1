"""What brings the dashboards into a Grafana: provisioning files, compose.yml, and the document."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from forewarn_collector.config import DEFAULT_LISTEN
from support.dashboards import FILES, FOLDER, document

ROOT = FOLDER.parent
DOCUMENT = (ROOT / "docs" / "grafana.md").read_text()
COLLECTOR = f"http://{DEFAULT_LISTEN}"
BIN = Path(sys.executable).parent


def read(name: str) -> Any:
    """A YAML file of the dashboards."""
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_data_sources_are_of_both_types_at_the_collectors_default_address() -> None:
    found = read("provisioning/datasources/forewarn.yml")
    assert found["apiVersion"] == 1
    prometheus, alerts = found["datasources"]
    assert (prometheus["type"], prometheus["access"]) == ("prometheus", "proxy")
    assert (alerts["type"], alerts["access"]) == ("alertmanager", "proxy")
    assert prometheus["url"] == alerts["url"] == COLLECTOR
    assert alerts["jsonData"]["implementation"] == "prometheus"
    assert prometheus["jsonData"]["alertmanagerUid"] == alerts["uid"]


def test_the_lines_for_a_token_are_good_once_they_are_taken_in() -> None:
    text = (FOLDER / "provisioning/datasources/forewarn.yml").read_text()
    taken = re.sub(
        r"^( *)# (.*httpHeader\w+\d: .*|secureJsonData:)$", r"\1\2", text, flags=re.MULTILINE
    )
    for source in yaml.safe_load(taken)["datasources"]:
        assert source["jsonData"]["httpHeaderName1"] == "Authorization"
        assert source["secureJsonData"]["httpHeaderValue1"] == "Bearer $FOREWARN_TOKEN"


def test_the_dashboards_lie_where_grafana_is_told_to_look() -> None:
    (provider,) = read("provisioning/dashboards/forewarn.yml")["providers"]
    path = provider["options"]["path"]
    assert provider["folder"] == "Forewarn"
    assert f"`{path}/`" in DOCUMENT
    mounts = read("compose.yml")["services"]["grafana"]["volumes"]
    assert f".:{path}:ro" in mounts


# The parts of the Compose specification that are used, https://github.com/compose-spec.
SERVICE_KEYS = {
    "build": dict,
    "command": list,
    "depends_on": dict,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "network_mode": str,
    "pid": str,
    "restart": str,
    "volumes": list,
}


def test_compose_has_the_structure_that_its_specification_says() -> None:
    found = read("compose.yml")
    assert set(found) == {"name", "services", "volumes"}
    assert set(found["services"]) == {"collector", "agent", "grafana"}
    used = set()
    for service in found["services"].values():
        for key, value in service.items():
            assert isinstance(value, SERVICE_KEYS[key]), key
        assert ("image" in service) != ("build" in service)
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}
            assert "healthcheck" in found["services"][other]
        for mount in service["volumes"]:
            source, target, *mode = mount.split(":")
            assert target.startswith("/")
            assert mode in ([], ["ro"])
            if source.startswith("."):
                assert (FOLDER / source).exists(), source
            else:
                used.add(source)
    assert used == set(found["volumes"])


def test_the_image_is_made_of_what_is_there() -> None:
    build = read("compose.yml")["services"]["collector"]["build"]
    assert (FOLDER / build["context"]).resolve() == ROOT
    text = (ROOT / build["dockerfile"]).read_text()
    for copied in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
    assert re.search(r"^FROM python:3\.1[1-9]-", text, re.MULTILINE)
    for folder in re.findall(r"/var/lib/[\w-]+", text):
        mounts = [m for s in read("compose.yml")["services"].values() for m in s["volumes"]]
        assert any(f":{folder}" in mount for mount in mounts)


@pytest.mark.parametrize("service", ["collector", "agent"])
def test_commands_and_flags_of_compose_are_those_of_our_programs(service: str) -> None:
    program, *arguments = read("compose.yml")["services"][service]["command"]
    commands = [word for word in arguments[:1] if not word.startswith("-")]
    said = subprocess.run(
        [str(BIN / program), *commands, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for flag in (word for word in arguments if word.startswith("-")):
        assert re.search(rf"(?<!\S){flag}\b", said), flag


def test_the_agents_of_compose_send_to_its_collector_with_its_token() -> None:
    services = read("compose.yml")["services"]
    command = services["agent"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))
    assert given["--collector"] == COLLECTOR
    assert given["--token-file"] == f"{services['collector']['command'][-1]}/token"
    assert f"{COLLECTOR}/-/ready" in services["collector"]["healthcheck"]["test"][-1]


def test_the_document_names_every_dashboard_that_there_is() -> None:
    for path in FILES:
        name = (
            document(path)["title"].removeprefix("Forewarn: ").replace("itself", "Forewarn itself")
        )
        assert f"**{name}**" in DOCUMENT
