"""The documents stay true: links, options, settings, metrics and the shape of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from forewarn_collector.cli import build
from forewarn_collector.cli.serve import serve
from forewarn_collector.queues import QUEUE_KINDS, TRACKERS
from support.servers import RunningCollector, running_collector

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "node_modules", ".hypothesis"} & set(path.relative_to(ROOT).parts)
]
SOURCES = [
    path for folder in ("wire", "agent", "collector") for path in (ROOT / folder).rglob("*.py")
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        # What begins with a slash is in a ticket that a page shows.
        if "://" not in target and not target.startswith("/"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_readmes_commands_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command


def test_every_option_of_serve_is_documented() -> None:
    text = (ROOT / "collector" / "README.md").read_text() + (
        ROOT / "docs" / "sysadmins.md"
    ).read_text()
    options = [option for parameter in serve.params for option in parameter.opts]
    for option in options:
        assert option in text, option


def test_every_kind_of_queue_has_its_page() -> None:
    index = (ROOT / "docs" / "queues.md").read_text()
    for kind in (*QUEUE_KINDS, *TRACKERS):
        assert f"| `{kind.kind}` |" in index, kind.kind
        if kind.kind != "log":
            assert f"(queues/{kind.kind}.md)" in index, kind.kind


def test_help_names_every_command() -> None:
    text = CliRunner().invoke(build(lambda: 0), ["--help"]).output
    for command in (
        "serve",
        "demo",
        "rules",
        "tasks",
        "silences",
        "queues",
        "audit",
        "calendar",
        "backup",
        "doctor",
        "export",
        "import",
    ):
        assert command in text


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> RunningCollector:
    with running_collector(tmp_path_factory.mktemp("docs")) as found:
        yield found


def test_every_metric_is_documented(collector: RunningCollector) -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    shown = collector.get("/metrics").body.decode()
    names = set(re.findall(r"^# TYPE (forewarn_\w+)", shown, re.MULTILINE))
    assert names
    missing = {name for name in names if f"`{name}" not in text}
    assert not missing


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_with_what_it_is_for_and_does_one_thing(path: Path) -> None:
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), "a module opens with one sentence"
    assert len(source.splitlines()) <= 450, "a file of more than 450 lines does too much"


def test_a_decision_says_its_context_and_consequences() -> None:
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        for part in ("Context", "Decision", "Consequences"):
            assert part in path.read_text(), f"{path.name}: {part}"
