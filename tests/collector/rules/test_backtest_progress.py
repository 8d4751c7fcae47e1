"""How far a backtest is, on a terminal and elsewhere."""

from __future__ import annotations

import os
import pty
import sys
from contextlib import suppress

import pytest

from forewarn_collector.cli import backtest_progress
from forewarn_collector.cli.backtest_progress import watching
from forewarn_collector.rules.backtest import Progress

DAY = 86_400_000


def test_without_a_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 5.0, 10.5, 12.0])
    monkeypatch.setattr(backtest_progress, "monotonic", lambda: next(times))
    with watching("replaying") as watch:
        watch(Progress(1, 4, DAY))
        # 10.5 s after the beginning, which is asked for twice.
        watch(Progress(2, 4, DAY))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("replaying: 50 %, 1970-01-0")
    assert len(err.splitlines()) == 1


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with watching("replaying") as watch:
            watch(Progress(1, 4, DAY))
            watch(Progress(4, 4, DAY))
    # A terminal hands out what was written in pieces, and fails once it is closed and empty.
    shown = b""
    with suppress(OSError):
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert b"replaying" in shown
    assert b"100%" in shown
