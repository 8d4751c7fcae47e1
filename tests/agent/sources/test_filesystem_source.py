"""File systems: what is left out, odd names, and a server that does not answer."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from forewarn_agent.settings import FilesystemSettings
from forewarn_agent.sources import Reading, SourceContext
from forewarn_agent.sources.filesystem import FilesystemSource, Statvfs

MOUNTS = r"""proc /proc proc rw,nosuid 0 0
tmpfs /run/user/0 tmpfs rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
/dev/sda1 / ext4 rw,relatime 0 0
/dev/sdb1 /srv/with\040blank\011tab xfs ro,relatime 0 0
overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0
short line
"""
# Fields of statvfs(3): blocks of 4096 bytes, 1000 of them, 400 free, 300 for everybody; 50 files.
ANSWER = os.statvfs_result((4096, 4096, 1000, 400, 300, 50, 20, 20, 0, 255))


def source_of(
    tmp_path: Path, mounts: str, statvfs: Statvfs = lambda path: ANSWER
) -> FilesystemSource:
    folder = tmp_path / "proc" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mounts").write_text(mounts)
    source = FilesystemSource(
        SourceContext("here"), FilesystemSettings(), str(tmp_path / "proc"), statvfs
    )
    source.start(None)  # type: ignore[arg-type]
    return source


def by_mount(readings: list[Reading]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for series, value in readings:
        labels = dict(series.labels)
        name = labels["__name__"].removeprefix("node_filesystem_")
        found.setdefault(labels["mountpoint"], {})[name] = value
    return found


def test_mounts_that_hold_no_data_are_left_out_and_names_are_unescaped(tmp_path: Path) -> None:
    source = source_of(tmp_path, MOUNTS)
    found = by_mount(source.collect(0))
    source.stop()
    assert set(found) == {"/", "/run/user/0", "/srv/with blank\ttab"}
    assert found["/"] == {
        "device_error": 0,
        "readonly": 0,
        "size_bytes": 4_096_000,
        "free_bytes": 1_638_400,
        "avail_bytes": 1_228_800,
        "files": 50,
        "files_free": 20,
    }
    assert found["/srv/with blank\ttab"]["readonly"] == 1


def test_a_mount_is_followed_when_it_comes_and_goes(tmp_path: Path) -> None:
    source = source_of(tmp_path, "/dev/a / ext4 rw 0 0\n")
    first = [series for series, _ in source.collect(0)]
    mounts = tmp_path / "proc/1/mounts"
    mounts.write_text("/dev/a / ext4 rw 0 0\n/dev/b /b ext4 rw 0 0\n")
    readings = source.collect(10)
    assert set(by_mount(readings)) == {"/", "/b"}
    assert [series for series, _ in readings][: len(first)] == first
    mounts.write_text("/dev/a / ext4 ro 0 0\n")
    assert by_mount(source.collect(20))["/"]["readonly"] == 1
    source.stop()


def test_a_file_system_that_fails_is_a_device_error(tmp_path: Path) -> None:
    def broken(path: str) -> os.statvfs_result:
        raise OSError(errno.EIO, "input/output error")

    source = source_of(tmp_path, "/dev/a / ext4 rw 0 0\n", broken)
    assert by_mount(source.collect(0)) == {"/": {"device_error": 1, "readonly": 0}}
    source.stop()


def test_a_network_file_system_that_hangs_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    asked = []

    def hanging(path: str) -> os.statvfs_result:
        asked.append(path)
        if path == "/nfs" and len(asked) > 2:
            back.wait(20)
        return ANSWER

    source = source_of(tmp_path, "server:/x /nfs nfs4 rw 0 0\n/dev/a / ext4 rw 0 0\n", hanging)
    assert by_mount(source.collect(0))["/nfs"]["avail_bytes"] == 1_228_800
    begun = time.monotonic()
    late = by_mount(source.collect(10))
    assert time.monotonic() - begun < 1
    # The last answer stands until it is sure that there will be no other.
    assert late["/nfs"]["device_error"] == 0
    assert late["/"]["avail_bytes"] == 1_228_800
    monkeypatch.setattr("forewarn_agent.sources.filesystem._STUCK_SECONDS", 0.0)
    stuck = by_mount(source.collect(20))
    assert stuck["/nfs"] == {"device_error": 1, "readonly": 0}
    assert stuck["/"]["device_error"] == 0
    count = asked.count("/nfs")
    source.collect(30)
    assert asked.count("/nfs") == count, "a server that owes an answer is not asked again"
    back.set()
    source.stop()


def test_the_agents_own_mounts_stand_in_where_those_of_process_1_are_hidden(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "self"
    folder.mkdir()
    (folder / "mounts").write_text("/dev/a / ext4 rw 0 0\n")
    source = FilesystemSource(
        SourceContext("here"), FilesystemSettings(), str(tmp_path), lambda path: ANSWER
    )
    source.start(None)  # type: ignore[arg-type]
    assert set(by_mount(source.collect(0))) == {"/"}
    source.stop()
