"""Groups of real processes: what is counted, and how soon a start or an end is noticed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from forewarn_agent.settings import ProcessGroup
from forewarn_agent.sources import Reading, SourceContext
from forewarn_agent.sources.process_groups import ProcessGroupsSource
from forewarn_wire import Severity
from support.waiting import wait_until

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that nothing else on this host runs."""
    path = tmp_path / f"fw{os.getpid()}x"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", path)
    return path


@pytest.fixture
def start(program: Path) -> Iterator[Start]:
    """Starts the program; at the end all of them are ended and reaped."""
    children: list[subprocess.Popen[bytes]] = []

    def begin(seconds: int = 600) -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen([str(program), str(seconds)]))
        return children[-1]

    yield begin
    for child in children:
        child.kill()
        child.wait()


@pytest.fixture
def source(program: Path) -> Iterator[ProcessGroupsSource]:
    group = ProcessGroup("web", exe=(str(program),))
    made = ProcessGroupsSource(SourceContext("here"), (group,))
    yield made
    made.stop()


def named(readings: list[Reading]) -> dict[str, float]:
    """Values by metric without its prefix, followed by the value of its one other label."""
    found = {}
    for series, value in readings:
        labels = dict(series.labels)
        name = labels.pop("__name__").removeprefix("namedprocess_namegroup_")
        others = [text for key, text in labels.items() if key not in {"job", "instance"}]
        others.remove(labels["groupname"])
        found["/".join([name, *others])] = value
    return found


def test_an_exit_is_sent_at_once_without_waiting_for_a_round(
    source: ProcessGroupsSource, start: Start, loop, program: Path
) -> None:
    child = start()
    wait_settled(child.pid)
    source.start(loop)
    assert named(source.collect(0))["num_procs"] == 1
    assert loop.events == []

    child.kill()
    loop.run_until(lambda: loop.events)

    assert loop.values("namedprocess_namegroup_num_procs") == [0]
    event = loop.events[0]
    assert event.type == "process_exit"
    assert event.severity is Severity.WARN
    assert dict(event.labels) == {"job": "process", "instance": "here", "groupname": "web"}
    assert event.attributes["pid"] == str(child.pid)
    assert event.attributes["comm"] == program.name
    assert event.attributes["signal"] == "SIGKILL"


def test_a_restart_is_noticed_between_two_rounds(
    source: ProcessGroupsSource, start: Start, loop
) -> None:
    child = start()
    wait_settled(child.pid)
    source.start(loop)
    child.kill()
    loop.run_until(lambda: loop.types() == ["process_exit"])
    again = start()
    loop.run_until(lambda: loop.types() == ["process_exit", "process_start"])
    assert loop.values("namedprocess_namegroup_num_procs") == [0, 1]
    assert loop.events[1].attributes["pid"] == str(again.pid)
    # The event bears the time of the start, not of its being noticed.
    started = psutil.Process(again.pid).create_time() * 1000
    assert loop.events[1].time == pytest.approx(started, abs=1500)


def test_a_group_without_processes_counts_zero_and_sees_its_first_one(
    source: ProcessGroupsSource, start: Start, loop
) -> None:
    source.start(loop)
    readings = named(source.collect(0))
    assert readings["num_procs"] == 0
    assert "oldest_start_time_seconds" not in readings
    start()
    loop.run_until(lambda: loop.types() == ["process_start"])
    assert loop.values("namedprocess_namegroup_num_procs") == [1]


def test_the_metrics_of_a_group_are_what_psutil_says_of_its_processes(
    source: ProcessGroupsSource, start: Start, loop
) -> None:
    children = [start(), start()]
    for child in children:
        wait_settled(child.pid)
    source.start(loop)
    readings = named(source.collect(0))
    peers = [psutil.Process(child.pid) for child in children]
    memory = [peer.memory_info() for peer in peers]
    switches = [peer.num_ctx_switches() for peer in peers]
    assert readings["num_procs"] == 2
    assert readings["num_threads"] == sum(peer.num_threads() for peer in peers)
    assert readings["memory_bytes/resident"] == sum(one.rss for one in memory)
    assert readings["memory_bytes/virtual"] == sum(one.vms for one in memory)
    assert readings["memory_bytes/swapped"] == 0
    assert readings["open_filedesc"] == sum(peer.num_fds() for peer in peers)
    limit = peers[0].rlimit(psutil.RLIMIT_NOFILE)[0]
    assert readings["worst_fd_ratio"] == max(peer.num_fds() for peer in peers) / limit
    assert readings["context_switches_total/voluntary"] == sum(one.voluntary for one in switches)
    assert readings["read_bytes_total"] == sum(peer.io_counters().read_bytes for peer in peers)
    assert readings["states/Sleeping"] == 2
    assert readings["oldest_start_time_seconds"] == pytest.approx(
        min(peer.create_time() for peer in peers), abs=1.1
    )
    times = [peer.cpu_times() for peer in peers]
    assert readings["cpu_seconds_total/user"] == pytest.approx(
        sum(one.user for one in times), abs=0.05
    )


def test_counters_do_not_fall_when_a_member_ends(
    source: ProcessGroupsSource, start: Start, loop
) -> None:
    children = [start(), start()]
    for child in children:
        wait_settled(child.pid)
    source.start(loop)
    before = named(source.collect(0))
    children[0].kill()
    loop.run_until(lambda: loop.events)
    after = named(source.collect(10_000))
    assert after["num_procs"] == 1
    for name, value in before.items():
        if "_total" in name:
            assert after[name] >= value, name


def test_a_program_that_forks_and_runs_another_is_no_exit_of_the_group(
    tmp_path: Path, loop
) -> None:
    # Between fork and exec the child looks like its parent, a member.
    script = tmp_path / f"fw{os.getpid()}s"
    script.write_text("#!/bin/sh\nwhile :; do sleep 0.05; done\n")
    script.chmod(0o755)
    shell = subprocess.Popen([str(script)])
    try:
        wait_settled(shell.pid)
        group = ProcessGroup("script", comm=(script.name,))
        source = ProcessGroupsSource(SourceContext("here"), (group,))
        source.start(loop)
        end = time.monotonic() + 1
        rounds = 0
        while time.monotonic() < end:
            loop.call_later(0.005, lambda: None)
            loop._turn()
            assert named(source.collect(rounds))["num_procs"] == 1
            rounds += 1
        assert loop.events == []
        source.stop()
    finally:
        shell.kill()
        shell.wait()


def test_an_exit_is_noticed_by_the_round_where_no_pidfd_is_to_be_had(
    program: Path, start: Start, loop
) -> None:
    def refuse(pid: int) -> int:
        raise OSError("too many open files")

    child = start()
    wait_settled(child.pid)
    group = ProcessGroup("web", comm=(program.name,))
    source = ProcessGroupsSource(SourceContext("here"), (group,), open_pidfd=refuse)
    source.start(loop)
    assert named(source.collect(0))["num_procs"] == 1
    child.kill()
    child.wait()
    assert named(source.collect(10_000))["num_procs"] == 0
    assert loop.types() == ["process_exit"]
    source.stop()


def test_a_process_belongs_to_the_first_group_that_it_matches_in_every_condition(
    tmp_path: Path, loop
) -> None:
    proc = tmp_path / "proc"
    recorded(proc, 100, "nginx", "nginx: master process /usr/sbin/nginx", started=10)
    recorded(proc, 101, "nginx", "nginx: worker process", started=20)
    recorded(proc, 102, "java", "/usr/bin/java\0-jar\0shop.jar", started=30)
    recorded(proc, 103, "java", "/usr/bin/java\0-jar\0other.jar", started=40)
    recorded(proc, 104, "averyveryverylo", "/opt/averyveryverylongname", started=50)
    pidfile = tmp_path / "other.pid"
    pidfile.write_text("103\n")
    groups = (
        ProcessGroup("master", comm=("nginx",), cmdline=("master process",)),
        ProcessGroup("nginx", comm=("nginx",)),
        ProcessGroup("shop", exe=("java",), cmdline=(r"shop\.jar$",)),
        ProcessGroup("other", pidfile=str(pidfile)),
        ProcessGroup("long", comm=("averyveryverylongname",)),
        ProcessGroup("none", comm=("httpd",)),
    )
    source = ProcessGroupsSource(
        SourceContext("here"), groups, str(proc), open_pidfd=None, uptime=lambda: 1000.0
    )
    source.start(loop)
    counts = {
        dict(series.labels)["groupname"]: value
        for series, value in source.collect(0)
        if dict(series.labels)["__name__"] == "namedprocess_namegroup_num_procs"
    }
    source.stop()
    assert counts == {"master": 1, "nginx": 1, "shop": 1, "other": 1, "long": 1, "none": 0}


def test_a_reused_pid_is_another_process(tmp_path: Path, loop) -> None:
    proc = tmp_path / "proc"
    recorded(proc, 100, "web", "/usr/bin/web", started=10)
    clock = [1000.0]
    source = ProcessGroupsSource(
        SourceContext("here"),
        (ProcessGroup("web", comm=("web",)),),
        str(proc),
        open_pidfd=None,
        uptime=lambda: clock[0],
    )
    source.start(loop)
    recorded(proc, 100, "web", "/usr/bin/web", started=99_000)
    (proc / "loadavg").write_text("0 0 0 1/1 101\n")
    clock[0] = 5000.0
    source.collect(0)
    assert loop.types() == ["process_exit", "process_start"]
    assert loop.events[0].uid != loop.events[1].uid
    source.stop()


def test_a_storm_of_exits_becomes_a_few_events_and_a_count(tmp_path: Path, loop) -> None:
    proc = tmp_path / "proc"
    for pid in range(100, 150):
        recorded(proc, pid, "cgi", "/usr/bin/cgi", started=10)
    source = ProcessGroupsSource(
        SourceContext("here"),
        (ProcessGroup("cgi", comm=("cgi",)),),
        str(proc),
        open_pidfd=None,
        uptime=lambda: 1000.0,
    )
    source.start(loop)
    for pid in range(100, 150):
        shutil.rmtree(proc / str(pid))
    source.collect(0)
    source.stop()
    assert loop.types() == ["process_exit"] * 20 + ["process_churn"]
    assert loop.events[-1].attributes["count"] == "30"


def test_stopping_gives_every_descriptor_back(
    source: ProcessGroupsSource, start: Start, loop
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    child = start()
    wait_settled(child.pid)
    source.start(loop)
    source.collect(0)
    assert len(os.listdir("/proc/self/fd")) > before
    source.stop()
    assert len(os.listdir("/proc/self/fd")) == before
    child.send_signal(signal.SIGKILL)


def wait_settled(pid: int) -> None:
    """Wait until a process is old enough (0.2 s) not to be taken for a copy of its parent."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    born = started / os.sysconf("SC_CLK_TCK")
    wait_until("it is old", lambda: time.clock_gettime(time.CLOCK_BOOTTIME) - born > 0.25)


def recorded(proc: Path, pid: int, comm: str, command: str, started: int) -> None:
    """A process in a recorded tree, with the fields of proc(5) that are read."""
    fields = ["S", "1", *["0"] * 15, "1", "0", str(started), "4096", "2", *["0"] * 28]
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}\n")
    (folder / "cmdline").write_text(command + "\0")
