"""The terminal session of docs/rules.md is what a reader gets who types it in."""

from __future__ import annotations

import re
from pathlib import Path

from forewarn_collector.rules.lint import COMMENTS, LINTS, NAMES
from support.sessions import commands, output, write_files

DOCUMENT = Path(__file__).parents[3] / "docs" / "rules.md"
BACKTEST = "\n## Backtest\n"
"""Has a session of its own, and a test of its own."""


def test_the_session_is_real(tmp_path: Path) -> None:
    text = DOCUMENT.read_text().partition(BACKTEST)[0]
    write_files(text, tmp_path)
    session = commands(text)
    assert len(session) == 10
    for command, expected in session:
        assert output(command, tmp_path) == expected, command


def test_every_lint_is_in_the_table() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert table[: len(NAMES)] == [*(lint.name for lint in LINTS), COMMENTS]
