"""Thousands of templates expand to what promtool makes of them, failures with their causes too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.promtool_templates import cause, expand_all, refused
from tests.support.template_texts import every_text

from forewarn_collector.rules.template_functions import FUNCTIONS
from forewarn_collector.rules.templates import (
    Template,
    TemplateContext,
    TemplateData,
    TemplateError,
)

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed"),
]

ELEMENTS = [
    ({"ip": "10.0.0.1:80", "six": "[::1]:80", "word": "hello big world"}, "7.25"),
    ({"ip": "b", "six": "x", "word": "A-b c"}, "1048576"),
    ({"ip": "c", "six": "y", "word": "a"}, "0"),
]
ORDER = "{{ range query `metric` }}{{ .Labels.ip }} {{ end }}"
# In the comparison of every text of `test_templates_as_prometheus`, not known to 2.42, or (the
# functions on the external URL) without a value in promtool.
ELSEWHERE = {"title", "now", "toTime", "toDuration", "urlQueryEscape", "externalURL", "pathPrefix"}


def expand(text: str, labels: dict[str, str], value: float, order: list[str]) -> str:
    found = sorted(ELEMENTS, key=lambda element: order.index(element[0]["ip"]))
    vector = [
        ((("__name__", "metric"), *sorted(labels.items())), float(value)) for labels, value in found
    ]
    context = TemplateContext(
        query={"metric": vector, "nothing": []}.__getitem__,
        external_labels={"region": "eu", "dc": "fra 1"},
        external_url="https://prom.example.org/a/b?c=d",
    )
    return Template.parse(text).expand(
        TemplateData({"__name__": "metric", **labels}, value), context
    )


def test_every_generated_text_expands_as_promtool_expands_it(tmp_path: Path) -> None:
    texts = [ORDER, *every_text(2_042)]
    assert all(name in " ".join(texts) for name in FUNCTIONS.keys() - ELSEWHERE)
    theirs = expand_all(tmp_path, texts, ELEMENTS)
    order = theirs[0][0].split()
    different = [
        (text, cause(expected), cause(found))
        for (labels, value), column in zip(ELEMENTS, theirs, strict=True)
        for text, expected in zip(texts, column, strict=True)
        if cause(found := expand(text, labels, float(value), order)) != cause(expected)
    ]
    assert not different


# A template a line, ⏎ for a new line in it. Good or not: promtool says it.
SYNTAX = Path(__file__).parents[2] / "support" / "template_syntax.txt"


def test_the_same_templates_are_refused_at_load(tmp_path: Path) -> None:
    texts = SYNTAX.read_text(encoding="utf-8").splitlines()
    texts = [text.replace("⏎", "\n") for text in texts]
    theirs = refused(tmp_path, texts)
    assert [text for text, bad in zip(texts, theirs, strict=True) if is_refused(text) != bad] == []
    assert 80 < sum(theirs) < len(theirs) - 50


def is_refused(text: str) -> bool:
    try:
        Template.parse(text)
    except TemplateError:
        return True
    return False
