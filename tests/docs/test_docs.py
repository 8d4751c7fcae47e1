"""The documents stay true: links, options, settings, metrics and the shape of the code."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from forewarn_collector.cli import build
from forewarn_collector.cli.serve import serve
from forewarn_collector.config import read_config
from forewarn_collector.queues import QUEUE_KINDS, queues_from_section
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
        if "://" not in target:
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


def test_the_queues_shown_in_the_document_can_be_configured_so(
    tmp_path: Path,
) -> None:
    text = (ROOT / "docs" / "support.md").read_text()
    examples = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    shown = [example for example in examples if example.lstrip().startswith("queues:")]
    pages = {page.stem for page in (ROOT / "docs" / "queues").glob("*.md")}
    kinds = {kind.kind for kind in QUEUE_KINDS}
    assert {*re.findall(r"kind: (\w+)", "".join(shown)), *(kinds & pages)} == kinds
    for name in ("webhook.secret", "mail.password"):
        (tmp_path / name).write_text("a long enough secret\n")
    for example in shown:
        known = example.replace("/etc/forewarn", str(tmp_path))
        known = re.sub(r".*ca_file:.*\n", "", known)
        config = read_config(textwrap.dedent(known), "support.md")
        assert config.queues is not None
        queues_from_section(config.queues)
        assert config.problems == []


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
