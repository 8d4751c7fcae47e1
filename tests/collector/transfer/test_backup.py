"""A copy that is made while the collector writes has all that was acknowledged before."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forewarn_collector.care import backup
from forewarn_collector.cli import build
from forewarn_collector.store import Store
from forewarn_collector.store.readonly import connect_read_only
from forewarn_collector.tasks import Ledger
from forewarn_collector.tasks.ledger import LEDGER_FILE
from support.databases import DATABASES
from support.stores import HOUR, START, Clock, batch, contents, matching, series


def forewarn(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(lambda: START), [str(each) for each in arguments])


@contextmanager
def opened(directory: Path) -> Iterator[Store]:
    store = Store(directory, retention=24 * HOUR, clock=Clock(START + HOUR))
    store.open()
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "data") as found:
        yield found


def test_every_acknowledged_sample_is_in_a_copy_made_under_writes(
    store: Store, tmp_path: Path
) -> None:
    up, stop, enough = series("up", instance="web1"), threading.Event(), threading.Event()
    acknowledged: list[int] = []

    def write() -> None:
        at = START
        while not stop.is_set():
            at += 1000
            store.append(batch((up, at, 1.0))).result()
            acknowledged.append(at)
            if len(acknowledged) % 20 == 0:
                store.seal()
                enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        enough.wait(20)
        for number in range(3):
            before = len(acknowledged)
            answer = forewarn("backup", tmp_path / f"copy{number}", "--data", tmp_path / "data")
            assert answer.exit_code == 0, answer.output
            assert f"copy{number} is whole and sound" in answer.output
            with opened(tmp_path / f"copy{number}") as restored:
                found = contents(restored, matching("up"))[up]
            assert [at for at, _ in found][:before] == acknowledged[:before]
    finally:
        stop.set()
        writer.join()


def test_a_series_that_is_sealed_between_the_files_keeps_its_number(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, between, later = (series("up", instance=name) for name in ("first", "between", "later"))
    store.append(batch((first, START, 1.0))).result()
    copy = backup._copy_database

    def copy_slowly(source: Path, target: Path, progress: backup.Progress) -> list[str]:
        found = copy(source, target, progress)
        if source.name == "store.db":
            store.append(batch((between, START, 2.0))).result()
            store.seal()
        return found

    monkeypatch.setattr(backup, "_copy_database", copy_slowly)
    answer = forewarn("backup", tmp_path / "copy", "--data", tmp_path / "data")
    assert answer.exit_code == 0, answer.output
    with opened(tmp_path / "copy") as restored:
        restored.append(batch((later, START, 3.0))).result()
        assert contents(restored, matching("up")) == {
            first: [(START, 1.0)],
            between: [(START, 2.0)],
            later: [(START, 3.0)],
        }


def test_only_its_owner_may_read_a_copy_and_its_secrets(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data" / "token").write_text("fw_0123456789abcdef\n")
    (tmp_path / "collector.yml").write_text("listen: 127.0.0.1:9815\n")
    config = ("--config", tmp_path / "collector.yml")
    answer = forewarn("backup", tmp_path / "copy", "--data", tmp_path / "data", *config)
    assert answer.exit_code == 0, answer.output
    names = {file.name for file in (tmp_path / "copy").iterdir()}
    assert names == {"collector.yml", "sealed.db", "store.db", "token"}
    for file in (tmp_path / "copy").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700


def test_a_directory_with_something_in_it_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "precious").write_text("data")
    answer = forewarn("backup", tmp_path / "copy", "--data", tmp_path / "data")
    assert answer.exit_code == 1
    assert "is not empty" in answer.output
    assert os.listdir(tmp_path / "copy") == ["precious"]


def test_a_copy_that_fails_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_add_series", full)
    answer = forewarn("backup", tmp_path / "copy", "--data", tmp_path / "data")
    assert answer.exit_code == 1
    assert "No space left on device" in answer.output
    assert sorted(os.listdir(tmp_path)) == ["data"]


def test_damage_of_the_original_is_told(store: Store, tmp_path: Path) -> None:
    store.append(batch((series("up", instance="a"), START, 1.0))).result()
    store.close()
    try:
        _spoil_index(tmp_path / "data" / "store.db")
        answer = forewarn("backup", tmp_path / "copy", "--data", tmp_path / "data")
        assert answer.exit_code == 1
        assert "damaged: store.db: " in answer.output
        assert (tmp_path / "copy" / "store.db").exists()
    finally:
        store.open()


def test_the_doctor_finds_nothing_wrong_with_a_directory_in_use(
    store: Store, tmp_path: Path
) -> None:
    store.append(batch((series("up", instance="a"), START, 1.0))).result()
    (tmp_path / "data").chmod(0o700)
    answer = forewarn("doctor", tmp_path / "data")
    assert answer.exit_code == 0, answer.output
    assert "a collector runs" in answer.output
    assert "nothing is wrong" in answer.output


def test_the_doctor_mends_an_index_only_without_a_collector(store: Store, tmp_path: Path) -> None:
    data = tmp_path / "data"
    store.append(batch((series("up", instance="a"), START, 1.0))).result()
    store.close()
    try:
        _spoil_index(data / "store.db")
        found = forewarn("doctor", data)
        assert found.exit_code == 1
        assert "forewarn doctor --repair" in found.output
    finally:
        store.open()
    refused = forewarn("doctor", data, "--repair")
    assert refused.exit_code == 1
    assert "stop it before a repair" in refused.output
    store.close()
    try:
        mended = forewarn("doctor", data, "--repair")
        assert mended.exit_code == 0, mended.output
        assert "store.db: indexes made anew" in mended.output
    finally:
        store.open()
    assert len(contents(store, matching("up"))) == 1


def test_the_doctor_mends_groups_and_names_damaged_chunks(store: Store, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a", "b"):
        store.append(batch((series("up", instance=name), START, 1.0))).result()
        store.seal()
    store.close()
    try:
        with closing(sqlite3.connect(data / "sealed.db")) as vandal, vandal:
            vandal.execute("UPDATE groups SET checksum = checksum + 1 WHERE host = 'a'")
        mended = forewarn("doctor", data, "--repair")
        assert mended.exit_code == 0, mended.output
        assert "groups of series made anew" in mended.output
        with closing(sqlite3.connect(data / "sealed.db")) as vandal, vandal:
            vandal.execute("UPDATE chunks SET directory = x'00' WHERE grp = 2")
        broken = forewarn("doctor", data)
        assert broken.exit_code == 1
        assert "chunk 2, all of it" in broken.output
    finally:
        store.open()


def test_the_doctor_says_who_may_read_too_much(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data" / "store.db").chmod(0o644)
    answer = forewarn("doctor", tmp_path / "data")
    assert answer.exit_code == 0
    assert "note: store.db: others may read it" in answer.output
    assert "chmod 600" in answer.output


def test_a_repair_of_what_it_may_not_write_to_says_so(store: Store, tmp_path: Path) -> None:
    store.close()
    try:
        lock = tmp_path / "data" / "store.lock"
        # Root may write anywhere, but not to a directory.
        lock.unlink()
        lock.mkdir()
        answer = forewarn("doctor", "--repair", tmp_path / "data")
        assert answer.exit_code == 1
        assert f"cannot write to {lock}: Is a directory" in answer.output
        lock.rmdir()
    finally:
        store.open()


def test_a_ledger_whose_schema_is_no_text_any_more_is_found_and_repaired(
    store: Store, tmp_path: Path
) -> None:
    store.close()
    data = tmp_path / "data"
    try:
        ledger = Ledger(data)
        ledger.open()
        ledger.close()
        content = (data / LEDGER_FILE).read_bytes()
        # A bit of the type of a column flips.
        (data / LEDGER_FILE).write_bytes(content.replace(b" TEXT", b" \xd4EXT", 1))
        # Nothing reads it before the next version of the schema does.
        ledger.open()
        ledger.close()
        answer = forewarn("doctor", data)
        assert answer.exit_code == 1
        assert "wrong: ledger.db: Could not decode" in answer.output
        assert "ledger.db.damaged-1" in forewarn("doctor", "--repair", data).output
        ledger.open()
        ledger.close()
    finally:
        store.open()


def test_the_doctor_lives_through_a_file_that_is_none(store: Store, tmp_path: Path) -> None:
    data = tmp_path / "other"
    data.mkdir()
    (data / "store.db").write_bytes(b"not a database" * 1000)
    answer = forewarn("doctor", data)
    assert answer.exit_code == 1
    assert "wrong: store.db: file is not a database" in answer.output


def _spoil_index(file: Path) -> None:
    # The index says that it is of a column that it is not of: no row is found in it.
    with closing(sqlite3.connect(file)) as vandal:
        vandal.execute("PRAGMA writable_schema = ON")
        vandal.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, '(latest)', '(samples)')"
            " WHERE name = 'journal_latest'"
        )
        vandal.commit()
    with closing(connect_read_only(file)) as reader:
        lines = [row[0] for row in reader.execute("PRAGMA integrity_check")]
    assert lines != ["ok"]


def test_a_ledger_elsewhere_is_said_to_be_by_the_backup_and_the_doctor(
    store: Store, tmp_path: Path, each_database: str
) -> None:
    if each_database == "sqlite":
        # One that was here before, and is not in use any more.
        Ledger(tmp_path / "data").open()
        url = "postgresql://fw:***@db/tasks"
        (tmp_path / "data" / "ledger.url").write_text(f"{url}\n")
    else:
        ledger = Ledger(tmp_path / "data", DATABASES.url(tmp_path))
        ledger.open()
        url = ledger.name
        ledger.close()
    done = forewarn("backup", tmp_path / "copy", "--data", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert f"not copied: the tasks, which are in {url}" in " ".join(done.output.split())
    done = forewarn("doctor", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert f"url: {url}" in done.output
    assert ("it is not in use" in done.output) == (each_database == "sqlite")
