"""Terminal sessions in documents, typed in as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_FILE = re.compile(r"^`(\w+\.yml)`:\n\n```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SESSION = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def write_files(text: str, folder: Path) -> None:
    """The files that a document shows."""
    for name, content in _FILE.findall(text):
        (folder / name).write_text(content)


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a document's sessions, each with what it shows of their output."""
    return [found for session in _SESSION.findall(text) for found in _COMMAND.findall(session)]


def output(command: str, folder: Path, **env: str) -> str:
    """What a command prints in that folder, errors among it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"({command}) 2>&1"],
        cwd=folder,
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        text=True,
    ).stdout
