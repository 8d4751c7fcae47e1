"""The sessions of docs/first-rule.md are what a reader gets, beside a running collector."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from support.servers import running_collector
from support.sessions import commands, output, write_files
from support.waiting import wait_until

DOCUMENT = Path(__file__).parents[2] / "docs" / "first-rule.md"


def masked(text: str) -> list[list[str]]:
    """The words of each line, without times, ports and figures, which differ from run to run."""
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\b\d+(?:\.\d+)?(MiB\b| ms\b|  -)", r"0\1", text)
    return [line.split() for line in re.sub(r"\b\d+(?:s|m\d+s)\b", "AGE", text).splitlines()]


@pytest.mark.server
def test_the_first_rule_goes_from_a_typo_to_a_task(tmp_path: Path) -> None:
    text = DOCUMENT.read_text()
    write_files(text, tmp_path)
    (tmp_path / "rules").mkdir()
    session = commands(text)
    assert len(session) == 14
    with running_collector(tmp_path, "--config", "collector.yml") as collector:
        typed = partial(output, folder=tmp_path, FOREWARN_SERVER=collector.url)

        def shown(command: str, expected: str) -> bool:
            return masked(typed(command)) == masked(expected)

        for command, expected in session:
            if command.startswith("forewarn"):
                # What was changed is in force a moment later.
                wait_until(command, partial(shown, command, expected), 60)
            else:
                assert typed(command) == expected
