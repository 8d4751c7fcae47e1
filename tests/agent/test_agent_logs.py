"""Log files followed by inotify: rotation, truncation, restarts, what is no text."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from forewarn_agent.loop import SelectorLoop
from forewarn_agent.settings import LogPattern, LogSettings
from forewarn_agent.sources import Reading, SourceContext
from forewarn_agent.sources import logs as logs_module
from forewarn_agent.sources.logs import LogsSource
from forewarn_wire import Event, Severity

ERRORS = (LogPattern("errors", "ERROR", Severity.ERROR, ignore="harmless"),)


class Host(SelectorLoop):
    """The agent's loop in a thread, with what a source emitted and the marks it left."""

    def __init__(self, marks: dict[str, str]) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.changes: list[Reading] = []
        self.remembered = marks
        self.now = 1_000
        self.arrived = threading.Condition()

    def clock(self) -> int:
        return self.now

    def send_now(self, readings: Sequence[Reading]) -> None:
        self.changes += readings

    def emit(self, events: Sequence[Event], marks: Mapping[str, str] | None = None) -> None:
        with self.arrived:
            self.events += events
            for name, value in (marks or {}).items():
                self.remembered[name] = value
                if not value:
                    del self.remembered[name]
            self.arrived.notify_all()

    def marks(self, prefix: str) -> dict[str, str]:
        return {k: v for k, v in self.remembered.items() if k.startswith(prefix)}

    @property
    def bodies(self) -> list[str]:
        return [event.body for event in self.events]

    def on_loop(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self.call_soon_threadsafe(act)
        assert done.wait(10)

    def wait_for(self, *bodies: str) -> None:
        with self.arrived:
            found = self.arrived.wait_for(lambda: len(self.events) >= len(bodies), 10)
        assert self.bodies == list(bodies), "in vain" if not found else ""


@contextmanager
def following(
    *paths: Path, marks: dict[str, str] | None = None, killed: bool = False, **settings: object
) -> Iterator[tuple[Host, LogsSource]]:
    """A source that follows, on its loop; `killed`: it ends without an orderly stop."""
    log = LogSettings("app", tuple(map(str, paths)), ERRORS, **settings)  # type: ignore[arg-type]
    host = Host({} if marks is None else marks)
    source = LogsSource(SourceContext("host"), [log])
    source.start(host)
    thread = threading.Thread(target=host.run)
    thread.start()
    try:
        yield host, source
    finally:
        before = dict(host.remembered)
        host.on_loop(source.stop)
        if killed:
            host.remembered.clear()
            host.remembered.update(before)
        host.on_loop(host.stop)
        thread.join()
        host.close()


def write(path: Path, text: str | bytes, mode: str = "ab") -> None:
    with path.open(mode) as file:
        file.write(text.encode() if isinstance(text, str) else text)


def readings(source: LogsSource) -> dict[str, float]:
    return {dict(series.labels)["__name__"]: value for series, value in source.collect(0)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("an old ERROR\n")
    return path


def test_a_line_that_matches_becomes_an_event_with_its_place(path: Path) -> None:
    with following(path) as (host, _):
        write(path, "INFO fine\nERROR broken\nERROR but harmless\n")
        host.wait_for("ERROR broken")
        event = host.events[0]
    assert (event.type, event.severity, event.time) == ("log", Severity.ERROR, 1_000)
    assert event.labels == (("instance", "host"), ("job", "log"), ("log", "app"))
    assert event.attributes == {"path": str(path), "pattern": "errors"}


def test_matches_are_counted_and_the_count_is_sent_with_the_event(path: Path) -> None:
    with following(path) as (host, source):
        assert readings(source)["forewarn_log_matches_total"] == 0
        write(path, "x\nERROR a\nERROR b\n")
        host.wait_for("ERROR a", "ERROR b")
        host.on_loop(lambda: None)
        found: list[dict[str, float]] = []
        host.on_loop(lambda: found.append(readings(source)))
    assert [(dict(s.labels), value) for s, value in host.changes] == [
        (
            {
                "__name__": "forewarn_log_matches_total",
                "instance": "host",
                "job": "log",
                "log": "app",
                "pattern": "errors",
                "severity": "error",
            },
            2.0,
        )
    ]
    assert found[0] == {
        "forewarn_log_matches_total": 2,
        "forewarn_log_lines_total": 3,
        "forewarn_log_events_suppressed_total": 0,
        "forewarn_log_files": 1,
    }


def test_an_event_is_there_within_a_fraction_of_a_second(path: Path) -> None:
    """A bound that no polling could keep; the latency itself is measured by the benchmark."""
    with following(path) as (host, _):
        waits = []
        for number in range(1, 11):
            began = time.perf_counter()
            write(path, f"ERROR {number}\n")
            with host.arrived:
                assert host.arrived.wait_for(lambda n=number: len(host.events) >= n, 5)  # type: ignore[misc]
            waits.append(time.perf_counter() - began)
    assert sorted(waits)[5] < 0.1


def test_a_line_that_comes_in_pieces_is_one_line(path: Path) -> None:
    with following(path) as (host, _):
        write(path, "ERR")
        host.on_loop(lambda: None)
        write(path, "OR in pie")
        write(path, "ces\n")
        host.wait_for("ERROR in pieces")


def test_a_line_without_an_end_is_taken_after_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "PARTIAL_SECONDS", 0.05)
    with following(path) as (host, _):
        write(path, "ERROR: dying without a newl")
        host.wait_for("ERROR: dying without a newl")


def test_rotation_by_renaming_loses_nothing(path: Path) -> None:
    with following(path) as (host, source), path.open("ab", buffering=0) as old:
        old.write(b"ERROR 1\nERROR half of ")
        host.wait_for("ERROR 1")
        path.rename(path.with_name("app.log.1"))
        old.write(b"a line\nERROR 2\n")  # the writer has not noticed yet
        write(path, "ERROR 3\n")
        host.on_loop(lambda: source.collect(0))
        assert sorted(host.bodies) == ["ERROR 1", "ERROR 2", "ERROR 3", "ERROR half of a line"]
        old.write(b"ERROR 4\n")
        host.on_loop(lambda: source.collect(0))
        assert host.bodies[-1] == "ERROR 4"


def test_a_rotated_file_that_stays_quiet_is_closed_with_its_last_partial_line(path: Path) -> None:
    with following(path) as (host, source):
        write(path, "ERROR cut in the mid")
        path.rename(path.with_name("app.log.1"))
        write(path, "dle\n")
        for _ in range(logs_module.ROTATED_ROUNDS + 1):
            host.on_loop(lambda: source.collect(0))
        host.wait_for("ERROR cut in the mid")
        found: list[dict[str, float]] = []
        host.on_loop(lambda: found.append(readings(source)))
        assert found[0]["forewarn_log_files"] == 1


def test_rotation_by_copy_and_truncation_begins_anew(path: Path) -> None:
    with following(path) as (host, source):
        write(path, "ERROR 1\n")
        host.wait_for("ERROR 1")
        os.truncate(path, 0)
        write(path, "ERROR 2\n")
        host.wait_for("ERROR 1", "ERROR 2")
        os.truncate(path, 0)
        host.on_loop(lambda: source.collect(0))
        write(path, "ERROR 2\n")  # the same line at the same offset is another event
        host.wait_for("ERROR 1", "ERROR 2", "ERROR 2")
        assert len({event.uid for event in host.events}) == 3


def test_a_truncated_file_that_has_grown_past_the_old_offset_is_noticed(path: Path) -> None:
    marks: dict[str, str] = {}
    with following(path, marks=marks):
        write(path, "INFO short\n")
    write(path, "INFO another beginning\nERROR 1\nERROR 2\n" + "x" * 100 + "\n", "wb")
    with following(path, marks=marks) as (host, _):
        host.wait_for("ERROR 1", "ERROR 2")


def test_a_file_truncated_under_a_writer_that_does_not_append_is_sparse_and_read(
    path: Path,
) -> None:
    with path.open("wb", buffering=0) as writer, following(path) as (host, _):
        writer.write(b"ERROR 1 " + b"." * 200_000 + b"\n")
        with host.arrived:
            host.arrived.wait_for(lambda: len(host.events) == 1, 5)
        os.truncate(path, 0)
        writer.write(b"ERROR 2\n")  # behind 200,000 bytes of nothing
        with host.arrived:
            host.arrived.wait_for(lambda: len(host.events) == 2, 5)
        assert host.bodies[1] == "ERROR 2"


def test_files_that_appear_later_are_read_from_their_beginning(tmp_path: Path) -> None:
    with following(tmp_path / "*.log") as (host, _):
        write(tmp_path / "new.log", "ERROR 1\n")
        host.wait_for("ERROR 1")
        write(tmp_path / "other.txt", "ERROR not ours\n")
        write(tmp_path / "newer.log", "ERROR 2\n")
        host.wait_for("ERROR 1", "ERROR 2")


def test_a_directory_that_appears_later_is_found_by_the_next_round(tmp_path: Path) -> None:
    with following(tmp_path / "later" / "app.log") as (host, source):
        (tmp_path / "later").mkdir()
        write(tmp_path / "later" / "app.log", "ERROR 1\n")
        host.on_loop(lambda: source.collect(0))
        host.wait_for("ERROR 1")
        write(tmp_path / "later" / "app.log", "ERROR 2\n")
        host.wait_for("ERROR 1", "ERROR 2")


def test_a_symbolic_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write(tmp_path / "real" / "app-1.log", "old\n")
    link = tmp_path / "current.log"
    link.symlink_to(tmp_path / "real" / "app-1.log")
    with following(link) as (host, _):
        write(tmp_path / "real" / "app-1.log", "ERROR 1\n")
        host.wait_for("ERROR 1")


def test_a_restart_goes_on_where_it_was_and_repeats_nothing(path: Path) -> None:
    marks: dict[str, str] = {}
    with following(path, marks=marks) as (host, _):
        write(path, "ERROR 1\nERROR unfin")
        host.wait_for("ERROR 1")
    write(path, "ished\nERROR 2\n")
    write(path.with_name("b.log"), "ERROR 3\n")
    with following(path, path.with_name("b.log"), marks=marks) as (host, _):
        host.wait_for("ERROR unfinished", "ERROR 2", "ERROR 3")


def test_after_kill_9_nothing_is_lost_and_what_is_repeated_has_its_old_uid(path: Path) -> None:
    marks: dict[str, str] = {}
    with following(path, marks=marks, killed=True) as (host, _):
        write(path, "ERROR 1\n")
        host.wait_for("ERROR 1")
        first = host.events[0].uid
        before = dict(marks)
        write(path, "ERROR 2\n")
        host.wait_for("ERROR 1", "ERROR 2")
        second = host.events[1].uid
    assert first != second
    with following(path, marks=before) as (host, _):  # as if the second had not been kept
        host.wait_for("ERROR 2")
        assert host.events[0].uid == second


def test_what_was_rotated_away_while_the_agent_was_down_is_read_to_its_end(path: Path) -> None:
    marks: dict[str, str] = {}
    with following(path, marks=marks) as (host, _):
        write(path, "ERROR 1\n")
        host.wait_for("ERROR 1")
    write(path, "ERROR 2\n")
    path.rename(path.with_name("app.log.1"))
    write(path, "ERROR 3\n")
    with following(path, marks=marks) as (host, _):
        host.wait_for("ERROR 2", "ERROR 3")


def test_a_binary_file_is_read_without_harm(path: Path) -> None:
    noise = bytes(range(256)) * 50
    with following(path, max_line=1_000) as (host, _):
        write(path, noise + b"\nERROR \xff\xfe caf\xc3\xa9 \x00 end\r\n")
        host.wait_for("ERROR �� café � end")


def test_a_line_that_is_too_long_is_cut_and_counts_once(path: Path) -> None:
    with following(path, max_line=1_000) as (host, _):
        write(path, "ERROR " + "x" * 500_000)
        write(path, "ERROR" * 1_000 + "\nERROR after\n")
        host.wait_for("ERROR " + "x" * 994, "ERROR after")


def test_another_encoding_is_decoded(path: Path) -> None:
    with following(path, encoding="latin-1") as (host, _):
        write(path, "ERROR café\n".encode("latin-1"))
        host.wait_for("ERROR café")


def test_a_flood_makes_a_bounded_number_of_events_and_counts_the_rest(path: Path) -> None:
    with following(path, max_events_per_second=10) as (host, source):
        write(path, "ERROR\n" * 1_000)
        host.wait_for(*["ERROR"] * 10)
        found: list[dict[str, float]] = []
        host.on_loop(lambda: found.append(readings(source)))
        assert found[0]["forewarn_log_matches_total"] == 1_000
        assert found[0]["forewarn_log_events_suppressed_total"] == 990
        host.now += 500  # half a second later half of the allowance is back
        write(path, "ERROR again\n" * 10)
        host.wait_for(*["ERROR"] * 10, *["ERROR again"] * 5)


def test_a_file_that_may_not_be_read_is_said_once_and_costs_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = path.with_name("other.log")
    other.touch()
    real_open = os.open

    def refusing(name: str, *arguments: int, **more: int) -> int:
        if str(name).endswith("app.log"):
            raise PermissionError(13, "Permission denied")
        return real_open(name, *arguments, **more)

    monkeypatch.setattr(os, "open", refusing)
    with following(path, other) as (host, source):
        write(other, "ERROR 1\n")
        host.wait_for("ERROR 1")
        host.on_loop(lambda: source.collect(0))
    assert caplog.text.count("Permission denied") == 1


def test_marks_of_logs_that_are_no_longer_configured_are_forgotten(path: Path) -> None:
    marks = {"log/gone/": "followed", "log/gone/1.2": "5 6 7:8 /gone.log", "other": "kept"}
    with following(path, marks=marks):
        assert not [name for name in marks if "gone" in name]
        assert marks["other"] == "kept"


def test_a_pipe_that_a_glob_matches_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    with following(tmp_path / "*.log") as (host, _):
        write(tmp_path / "a.log", "ERROR 1\n")
        host.wait_for("ERROR 1")
