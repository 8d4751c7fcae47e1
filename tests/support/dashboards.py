"""The committed dashboards as tests look at them: panels, queries, and what Grafana fills in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))

_FILLED = {
    "customer": ".*",
    "service": ".*",
    "host": ".*",
    "own": ".*",
    "trend": "6h",
    "__rate_interval": "1m",
    "__interval": "1m",
    "__range": "6h",
    "__range_s": "21600",
}


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    board: str
    panel: dict[str, Any]
    expr: str
    ref: str
    ranged: bool
    legend: str

    @property
    def name(self) -> str:
        """What it is called in a test's output."""
        return f"{self.board}: {self.panel['title']} {self.ref}"

    @property
    def unit(self) -> str:
        """The unit in which its values are shown: the panel's, or that of its table's column."""
        unit: str = self.panel["fieldConfig"]["defaults"].get("unit", "")
        heading = _headings(self.panel).get(f"Value #{self.ref}")
        for override in self.panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] == heading:
                for given in override["properties"]:
                    unit = given["value"] if given["id"] == "unit" else unit
        return unit

    @property
    def shows_value(self) -> bool:
        """Whether its value is shown; some of a table only add labels."""
        return self.panel["type"] != "table" or f"Value #{self.ref}" in _headings(self.panel)


def document(path: Path) -> dict[str, Any]:
    """A dashboard's JSON."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def all_panels(path: Path) -> Iterator[dict[str, Any]]:
    """All panels of a dashboard, rows and what they have folded away among them."""
    for panel in document(path)["panels"]:
        yield panel
        yield from panel.get("panels", ())


def panels(path: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard that show something."""
    return [panel for panel in all_panels(path) if panel["type"] != "row"]


def targets() -> list[Target]:
    """Every query of every panel."""
    return [
        Target(
            path.stem,
            panel,
            target["expr"],
            target["refId"],
            bool(target.get("range")),
            target.get("legendFormat", ""),
        )
        for path in FILES
        for panel in panels(path)
        for target in panel["targets"]
    ]


def filled(text: str, **values: str) -> str:
    """An expression as Grafana sends it, with All chosen for what is not given."""
    known = _FILLED | values
    return re.sub(r"\$(\w+)", lambda match: known[match.group(1)], text)


def columns(panel: dict[str, Any]) -> list[str]:
    """The fields that a table shows."""
    return list(_headings(panel))


def _headings(panel: dict[str, Any]) -> dict[str, str]:
    for transformation in panel.get("transformations", ()):
        if transformation["id"] == "organize":
            named: dict[str, str] = transformation["options"]["renameByName"]
            return named
    return {}
