"""Templates of an alertmanager.yml say what Debian's amtool renders of them, HTML too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forewarn_collector.notifications import Templates
from forewarn_collector.rules.template_nodes import TemplateError
from support.notifications import NOTIFICATION, amtool, give_amtool, random_pages

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed"),
]

FILES = {
    "a.tmpl": '{{ define "team.title" }}{{ .Status | toUpper }} {{ .CommonLabels.team }}{{ end }}'
    '{{ define "overridden" }}first{{ end }}{{ define "kept" }}kept{{ end }}',
    "b.tmpl": 'outside {{ .Status }}{{ define "team.list" }}{{ range . }}* {{ .Labels.instance }}\n'
    '{{ end }}{{ end }}{{ define "overridden" }}second{{ end }}{{ define "kept" }} {{ end }}',
}
# `FOREWARN_PAGES=20000` for a long run.
PAGES = int(os.environ.get("FOREWARN_PAGES", "200"))
UNENDED = "ends in a non-text context"
PIPES = ["", "| len", "| toUpper", '| printf "%T %q"']
BODIES = [
    ".Receiver",
    "(index .Alerts 0).Annotations.description",
    "(index .Alerts 0).GeneratorURL",
    "(index .Alerts 1).Annotations.runbook_url",
    ".ExternalURL",
    "len .Alerts",
    ".CommonLabels",
    ".CommonLabels.nothing",
    'safeHtml "<i title=\\"x\\">a &amp; b + c</i>"',
]


def lines(name: str) -> list[str]:
    """The lines of a file of `support`, ⏎ for a new line in one."""
    path = Path(__file__).parents[2] / "support" / f"notification_{name}.txt"
    return [line.replace("⏎", "\n") for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def templates() -> Templates:
    found = Templates.default()
    for name, content in FILES.items():
        found = found.adding(name, content)
    return found


def cause(error: str) -> str:
    """What went wrong and at which node: the part of an error that does not name the caller."""
    if UNENDED in error:
        return UNENDED
    found = error[error.index("at <") :].strip() if "at <" in error else "unreadable"
    # What is wrong with an expression, each engine says in its own words.
    return found.partition("error calling reReplaceAll")[0]


def rendered(render: Callable[..., str], text: str) -> tuple[str, str]:
    """What we make of a text, and why we do not."""
    try:
        return render(text, NOTIFICATION, 0), ""
    except TemplateError as error:
        return "", cause(str(error))


def peers(folder: Path, texts: list[str], kind: str) -> list[tuple[str, str]]:
    """What amtool makes of each, and why it does not."""

    def one(text: str) -> tuple[str, str]:
        output, error = amtool(folder, text, kind)
        return ("", cause(error)) if error else (output, "")

    give_amtool(folder, FILES)
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, texts))


def test_texts_say_what_amtool_renders(templates: Templates, tmp_path: Path) -> None:
    texts = [f"<{{{{ {value} {pipe} }}}}>" for value in lines("values") for pipe in PIPES]
    texts += lines("texts")
    theirs = peers(tmp_path, texts, "text")
    ours = [rendered(templates.text, text) for text in texts]
    assert [each for each in zip(texts, ours, theirs, strict=True) if each[1] != each[2]] == []
    failed = sum(bool(error) for _, error in theirs)
    assert 20 < failed < len(texts) / 2


def test_pages_are_escaped_as_amtool_escapes_them(templates: Templates, tmp_path: Path) -> None:
    texts = [
        place.replace("%s", f"{{{{ {body} }}}}") for place in lines("places") for body in BODIES
    ]
    texts += lines("pages")
    texts += random_pages(6, PAGES)
    theirs = peers(tmp_path, texts, "html")
    ours = [rendered(templates.html, text) for text in texts]
    # Go names other places in the errors of pages: it finds them before it fills anything in.
    different = [
        (text, found, expected)
        for text, found, expected in zip(texts, ours, theirs, strict=True)
        if (found[0] != expected[0] or bool(found[1]) != bool(expected[1]))
        # Go refuses a page that ends within a tag; to us that is what it says.
        and expected[1] != UNENDED
    ]
    assert different == []
