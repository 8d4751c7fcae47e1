"""A data directory that cannot be written to: a collector says so at its start, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers import program, running_collector
from support.writing import WRITE_HEADERS, write_body

T0 = 1_750_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The data directory of a collector that has run, read-only with all that is in it."""
    with running_collector(tmp_path, "--no-auth") as collector:
        assert collector.post("/api/v1/write", write_body({"m": 1}, T0), **WRITE_HEADERS).status
    files = [collector.data, *collector.data.iterdir()]
    modes = {file: file.stat().st_mode for file in files}
    for file in files:
        file.chmod(modes[file] & ~0o222)
    yield collector.data
    for file in files:
        file.chmod(modes[file])


def start(data: Path) -> subprocess.CompletedProcess[str]:
    """Start a collector as somebody who has no more rights than the files give."""
    command = [sys.executable, "-m", "forewarn_collector", "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(data), "--no-auth"]
    if os.geteuid() == 0:
        command = [program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_start_in_a_read_only_directory_says_so_and_changes_nothing(data: Path) -> None:
    before = {file: file.read_bytes() for file in data.iterdir()}
    done = start(data)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert str(data) in last
    assert "Permission denied" in last
    assert "this user may write to" in last
    assert {file: file.read_bytes() for file in data.iterdir()} == before


@pytest.mark.parametrize("name", ["store.db", "sealed.db", "ledger.db"])
def test_one_file_that_is_read_only_is_named(data: Path, name: str) -> None:
    for file in [data, *data.iterdir()]:
        if file.name != name:
            file.chmod(0o700)
    done = start(data)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert str(data / name) in last
    assert "ermission" in last
