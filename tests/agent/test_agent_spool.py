"""The spool: order, bound, loss, kill -9, damage, a full disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_agent.spool import CHANGES, EVENTS, SAMPLES, Spool, SpoolError
from forewarn_agent.spool_file import ROW_BYTES, SpoolFile

LARGE = 2**30


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = opened_spool(tmp_path)
    yield opened
    opened.close()


def opened_spool(folder: Path, max_size: int = LARGE) -> Spool:
    spool = Spool(str(folder), max_size)
    spool.open()
    return spool


def bodies(spool: Spool, limit: int = 1) -> list[bytes]:
    return [entry.body for entry in spool.next(limit)]


def drained(spool: Spool) -> list[bytes]:
    found = []
    while entries := spool.next(1):
        found += [entry.body for entry in entries]
        spool.acknowledge(entries)
    return found


def test_an_empty_spool_has_nothing_to_send(spool: Spool) -> None:
    assert spool.next() == []
    assert spool.stats().entries == 0


def test_what_is_not_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(SAMPLES, 1000, 3, b"first")
    spool.append(SAMPLES, 2000, 3, b"second")
    spool.acknowledge(spool.next())
    spool.close()
    again = opened_spool(tmp_path)
    assert drained(again) == [b"first"]
    again.close()


def test_after_an_outage_the_newest_samples_go_first_and_then_the_backlog_in_order(
    spool: Spool,
) -> None:
    for number in range(5):
        spool.append(SAMPLES, number, 1, b"%d" % number)
    newest = spool.next()
    assert [entry.body for entry in newest] == [b"4"]
    spool.acknowledge(newest)
    assert bodies(spool) == [b"0"]
    spool.append(SAMPLES, 5, 1, b"5")  # a fresh round comes while the backlog is sent
    assert drained(spool) == [b"5", b"0", b"1", b"2", b"3"]


def test_events_go_before_changes_and_changes_before_samples(spool: Spool) -> None:
    spool.append(SAMPLES, 1, 1, b"sample")
    spool.append(CHANGES, 2, 1, b"change")
    spool.append(EVENTS, 3, 1, b"event")
    spool.append(SAMPLES, 4, 1, b"newest sample")
    assert drained(spool) == [b"event", b"change", b"newest sample", b"sample"]


def test_events_are_handed_out_together_oldest_first_within_a_size(spool: Spool) -> None:
    for number in range(4):
        spool.append(EVENTS, number, 1, b"%d" % number * 10)
    assert bodies(spool, limit=3) == [b"1" * 10, b"2" * 10, b"3" * 10]
    assert [entry.body for entry in spool.next(4, max_bytes=25)] == [b"2" * 10, b"3" * 10]


def test_over_its_bound_the_oldest_samples_go_first_then_the_oldest_events(
    tmp_path: Path,
) -> None:
    cost = 100 + ROW_BYTES
    spool = opened_spool(tmp_path, max_size=4 * cost)
    for kind, name in ((EVENTS, b"a"), (SAMPLES, b"b"), (SAMPLES, b"c"), (EVENTS, b"d")):
        spool.append(kind, 0, 7, name * 100)
    spool.append(SAMPLES, 0, 7, b"e" * 100)  # b goes
    assert spool.stats().dropped == {"samples": 7, "events": 0}
    for name in (b"f", b"g", b"h"):
        spool.append(EVENTS, 0, 1, name * 100)  # c, e, then a
    assert spool.stats().dropped == {"samples": 21, "events": 7}
    assert spool.stats().bytes == 4 * cost
    assert [body[:1] for body in drained(spool)] == [b"h", b"g", b"f", b"d"]
    spool.close()
    again = opened_spool(tmp_path)
    assert again.stats().dropped == {"samples": 21, "events": 7}, "the loss is remembered"
    again.close()


def test_what_the_collector_calls_invalid_is_counted_and_forgotten(spool: Spool) -> None:
    spool.append(SAMPLES, 0, 12, b"bad")
    spool.reject(spool.next())
    assert spool.stats().rejected == {"samples": 12, "events": 0}
    assert spool.next() == []


def test_marks_are_remembered_with_events_and_forgotten_when_empty(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    spool.append(EVENTS, 0, 1, b"e", {"log/a": "1", "log/b": "2", "other": "3"})
    spool.append(EVENTS, 0, 0, b"", {"log/a": ""})
    spool.close()
    again = opened_spool(tmp_path)
    assert again.marks("log/") == {"log/b": "2"}
    assert again.stats().entries == 1
    again.close()


def test_a_second_agent_on_the_same_spool_is_refused(tmp_path: Path, spool: Spool) -> None:
    with pytest.raises(SpoolError, match="another forewarn-agent uses the spool"):
        Spool(str(tmp_path), LARGE).open()


def test_a_place_that_cannot_hold_a_spool_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"file/spool.*--spool"):
        Spool(str(tmp_path / "file" / "spool"), LARGE).open()


@pytest.mark.parametrize("damage", ["not a database at all" * 500, "x" * 10])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: str) -> None:
    (tmp_path / "spool.db").write_text(damage)
    spool = opened_spool(tmp_path)
    spool.append(SAMPLES, 0, 1, b"new")
    assert drained(spool) == [b"new"]
    assert spool.stats().damaged == 1
    spool.close()
    assert (tmp_path / "spool.db.damaged").read_text() == damage


def test_a_file_whose_pages_are_overwritten_is_noticed(tmp_path: Path) -> None:
    spool = opened_spool(tmp_path)
    for number in range(50):
        spool.append(SAMPLES, number, 1, bytes(4000))
    spool.close()
    path = tmp_path / "spool.db"
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(content)
    again = opened_spool(tmp_path)
    again.append(SAMPLES, 100, 1, b"new")
    assert drained(again) == [b"new"]
    assert again.stats().damaged == 1
    again.close()


class FullDisk:
    """Makes every write fail as SQLite does where no page can be had (SQLITE_FULL)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        write = SpoolFile.write

        def wrapped(file: SpoolFile, *arguments: object) -> None:
            if self.full:
                raise sqlite3.OperationalError("database or disk is full")
            write(file, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(SpoolFile, "write", wrapped)


def test_while_the_disk_is_full_a_tail_is_kept_in_memory_and_can_be_sent(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append(SAMPLES, 0, 1, b"before")
    disk = FullDisk(monkeypatch)
    for number in range(3):
        spool.append(SAMPLES, number, 1, b"%d" % number, {"mark": str(number)})
    assert spool.marks("mark") == {"mark": "2"}
    newest = spool.next()
    assert [entry.body for entry in newest] == [b"2"]
    spool.acknowledge(newest)
    assert bodies(spool) == [b"before"]
    disk.full = False
    spool.append(SAMPLES, 9, 1, b"after")
    assert drained(spool) == [b"after", b"before", b"0", b"1"]
    assert spool.stats().dropped == {"samples": 0, "events": 0}
    assert spool.stats().entries == 0


def test_what_does_not_fit_in_memory_either_is_counted_as_lost(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    spool.append(EVENTS, 0, 1, b"e" * 1000)
    for number in range(11):
        spool.append(SAMPLES, number, 5, b"%x" % number * 100_000)
    # 1 MiB holds the event and ten of these.
    assert spool.stats().dropped == {"samples": 5, "events": 0}
    disk.full = False
    spool.append(SAMPLES, 99, 1, b"z")
    spool.close()
    again = opened_spool(tmp_path)
    assert again.stats().dropped == {"samples": 5, "events": 0}
    expected = [b"e", b"z", *(b"%x" % number for number in range(1, 11))]
    assert [body[:1] for body in drained(again)] == expected
    again.close()


def test_a_real_full_disk_is_survived(tmp_path: Path) -> None:
    """A file-size limit makes the kernel refuse writes as a full disk does."""
    script = """
import resource, signal, sys
from forewarn_agent.spool import SAMPLES, Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(sys.argv[1], 2**30)
spool.open()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
for number in range(20):
    spool.append(SAMPLES, number, 1, bytes([number]) * 50_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
spool.append(SAMPLES, 20, 1, bytes([20]) * 50_000)
spool.close()
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    spool = opened_spool(tmp_path)
    assert "cannot use the spool" in result.stderr
    assert sorted(body[0] for body in drained(spool)) == list(range(21))
    spool.close()


def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    script = """
import sys
from forewarn_agent.spool import EVENTS, Spool
spool = Spool(sys.argv[1], 2**30)
spool.open()
number = 0
while True:
    number += 1
    spool.append(EVENTS, number, 1, b"%d" % number, {"mark": str(number)})
    print(number, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 50:
            pass
        process.send_signal(signal.SIGKILL)
        said = [50, *(int(line) for line in process.stdout.read().split("\n")[:-1])]
    spool = opened_spool(tmp_path)
    found = sorted(int(body) for body in drained(spool))
    assert found == list(range(1, found[-1] + 1))
    assert found[-1] >= said[-1], "what was said to be durable is there"
    assert spool.marks("mark") == {"mark": str(found[-1])}, "marks and events go together"
    spool.close()
