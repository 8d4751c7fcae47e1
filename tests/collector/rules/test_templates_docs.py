"""The guide to templates names every function, and its examples give what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forewarn_collector.rules.template_functions import FUNCTIONS
from forewarn_collector.rules.templates import Template, TemplateContext, TemplateData

GUIDE = Path(__file__).parents[3] / "docs" / "templates.md"
ROW = re.compile(r"\| (?P<what>[^|]+) \| `(?P<text>.*\{\{.*)` \| (?P<gives>.*) \|")
ROWS = [
    match for line in GUIDE.read_text(encoding="utf-8").splitlines() if (match := ROW.match(line))
]
WEB = {"instance": "web-1.example.org:9100", "job": "node"}
DB = {"instance": "db-1:9100", "job": "node"}


def element(labels: dict[str, str], value: float) -> tuple[tuple[tuple[str, str], ...], float]:
    return tuple(sorted(labels.items())), value


CONTEXT = TemplateContext(
    query={
        "up": [element(WEB, 1.0), element(DB, 0.0)],
        "up == 0": [element(DB, 0.0)],
    }.__getitem__,
    external_url="https://forewarn.example.org/pages",
    at=1_435_065_584_128,
)


@pytest.mark.parametrize("row", ROWS, ids=[row["what"] for row in ROWS])
def test_an_example_gives_what_the_guide_says(row: re.Match[str]) -> None:
    text = Template.parse(row["text"]).expand(TemplateData(WEB, 7.25), CONTEXT)
    if row["gives"].startswith("fails"):
        assert "error expanding template" in text
    else:
        assert f"`{text}`" == row["gives"]


def test_every_function_has_an_example() -> None:
    assert {*FUNCTIONS, "and", "or"} <= {row["what"].strip("`") for row in ROWS}
