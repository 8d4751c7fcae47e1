"""The terminal session of docs/rules.md is what a reader gets who types it in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from forewarn_collector.rules.lint import COMMENTS, LINTS, NAMES

DOCUMENT = Path(__file__).parents[3] / "docs" / "rules.md"
FILE = re.compile(r"^`(\w+\.yml)`:\n\n```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SESSION = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def test_the_session_is_real(tmp_path: Path) -> None:
    text = DOCUMENT.read_text()
    for name, content in FILE.findall(text):
        (tmp_path / name).write_text(content)
    commands = [found for session in SESSION.findall(text) for found in COMMAND.findall(session)]
    assert len(commands) == 10
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, expected in commands:
        done = subprocess.run(
            ["bash", "-c", f"({command}) 2>&1"],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.stdout == expected, command


def test_every_lint_is_in_the_table() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert table[: len(NAMES)] == [*(lint.name for lint in LINTS), COMMENTS]
