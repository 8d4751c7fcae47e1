"""A data directory that cannot be written to: a collector says so at its start, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crash.lives import lives
from support.servers import program


@contextmanager
def read_only(files: Sequence[Path]) -> Iterator[None]:
    """Nobody may write to these, until the end."""
    modes = [file.stat().st_mode for file in files]
    for file, mode in zip(files, modes, strict=True):
        file.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for file, mode in zip(files, modes, strict=True):
            file.chmod(mode)


def test_a_start_where_it_may_not_write_says_so_and_changes_nothing(tmp_path: Path) -> None:
    # Somebody who has no more rights than the files give, whoever runs the test.
    rights = [program("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
    prefix = rights if os.geteuid() == 0 else []
    with lives(tmp_path, "http://127.0.0.1:9/", prefix=prefix) as collectors:
        collectors.begin()
        collectors.listening()
        collectors.stop()
        data = collectors.data
        before = {file: file.read_bytes() for file in data.iterdir()}
        with read_only([data, *before]):
            collectors.begin()
            said = collectors.end()
        assert isinstance(said, str)
        assert f"cannot use the data directory {data}: Permission denied" in said
        assert "choose one that this user may write to" in said
        assert {file: file.read_bytes() for file in data.iterdir()} == before
        for name in ("store.db", "ledger.db"):
            with read_only([data / name]):
                collectors.begin()
                said = collectors.end()
            assert isinstance(said, str)
            assert str(data / name) in said
            assert "permission" in said.lower()
        collectors.begin()
        collectors.listening()
        collectors.stop()
