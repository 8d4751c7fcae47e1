"""`forewarn-agent` as a process: its flags and signals, outages, kill -9, reloads."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from forewarn_agent import __version__
from forewarn_agent.spool import Spool
from support.recorder import Recorder, Reply, Request, recording
from support.servers import free_port, program, running, running_agent, stop
from support.waiting import wait_until

LOGS = """
instance: host-1
interval: 1s
logs:
  - name: app
    paths: [{folder}/app.log]
    patterns: [{{regex: ERROR}}]
"""


def agent(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "forewarn_agent", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
        check=False,
    )


def waiting(folder: Path) -> int:
    """How many entries the spool of an agent that has ended holds."""
    spool = Spool(str(folder / "spool"), 2**30)
    spool.open()
    try:
        return spool.stats().entries
    finally:
        spool.close()


def intervals(recorder: Recorder) -> set[float]:
    return {
        value
        for labels, value, _ in recorder.samples()
        if labels["__name__"] == "forewarn_agent_interval_seconds"
    }


def has_selector(pid: int) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if "eventpoll" in str(descriptor.readlink()):
                return True
    return False


@contextmanager
def logging_agent(folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that follows `folder/app.log`, once it does."""
    log = folder / "app.log"
    log.touch()
    with running_agent(folder, url, LOGS.format(folder=folder)) as process:
        yield process


def say(folder: Path, line: str) -> None:
    with (folder / "app.log").open("a") as file:
        file.write(line + "\n")


def test_print_shows_a_round_that_promtool_accepts() -> None:
    result = agent("--print")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^node_load1\{instance=\"[^\"]+\",job=\"node\"\} \d", result.stdout, re.M)
    # promtool groups by metric and asks for help texts, which remote write has no place for.
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input="\n".join(sorted(result.stdout.splitlines())) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "error while linting" not in checked.stderr, checked.stderr


def test_a_bad_configuration_is_refused_with_every_place(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("interval: fast\nlgos: []\n")
    for arguments in (("--check-config",), ()):
        result = agent("--config", str(path), *arguments, cwd=tmp_path)
        assert result.returncode == 1
        assert f"{path}:1:11: interval: not a duration" in result.stderr
        assert f"{path}:2:1: unknown field lgos (did you mean logs?)" in result.stderr
    path.write_text("interval: 5s\n")
    assert agent("--config", str(path), "--check-config").returncode == 0


@pytest.mark.parametrize(
    "arguments", [("--interval", "10ms"), ("--collector", "localhost"), ("--frequency", "1s")]
)
def test_wrong_usage_is_refused(arguments: tuple[str, ...]) -> None:
    assert agent(*arguments).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--instance", "a"),
        ("--interval", "2s"),
        ("--collector", "https://collector.example.org"),
        ("--token-file", "{folder}/token"),
        ("--spool", "{folder}/spool"),
        ("--config", "{folder}/agent.yml"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_flag_can_be_given_with_print_and_with_a_check(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-token-of-a-test\n")
    (tmp_path / "agent.yml").write_text("instance: b\n")
    given = [argument.format(folder=tmp_path) for argument in arguments]
    checked = agent(*given, "--check-config")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.endswith("is good\n")
    printed = agent(*given, "--print")
    assert (printed.returncode, printed.stderr) == (0, "")
    host = {"--instance": "a", "--config": "b"}.get(given[0], os.uname().nodename)
    interval = 2.0 if given[0] == "--interval" else 10.0
    line = f'forewarn_agent_interval_seconds{{instance="{host}",job="node"}} {interval}'
    assert line in printed.stdout.splitlines()


def test_the_version_is_said() -> None:
    assert agent("--version").stdout == f"forewarn-agent {__version__}\n"


def test_print_ends_quietly_when_nobody_reads_on() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "forewarn_agent", "--print"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    finally:
        os.close(write_end)
    assert result.stderr == b""
    assert result.returncode == 141, "128 and SIGPIPE, as a shell says it"


@pytest.mark.parametrize("arguments", [("--check-config",), ("--print",), ()])
def test_a_token_file_that_cannot_be_read_ends_the_agent(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    result = agent("--token-file", "/nope", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    said = "cannot read the token file /nope: No such file or directory; check the path"
    assert said in result.stderr
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    result = agent("--token-file", str(tmp_path / "token"), *arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        f"--token-file: cannot read the token file {tmp_path}/token: it is not text\n"
    )


def test_a_second_sigterm_while_the_last_is_sent_changes_nothing(tmp_path: Path) -> None:
    taken, go_on = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        taken.set()
        go_on.wait(10)
        return 204, {}, b""

    with recording() as recorder:
        recorder.reply = answer
        with running_agent(tmp_path, recorder.url) as process:
            assert taken.wait(10)
            output = tmp_path / "agent.log"
            process.send_signal(signal.SIGTERM)
            # The loop is closed, and so its pipe, while the sender waits for its answer.
            wait_until("the loop is closed", lambda: not has_selector(process.pid))
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            go_on.set()
            assert process.wait(10) == 0
        assert "stopped" in output.read_text()
        assert "Exception ignored" not in output.read_text()


def test_a_spool_that_cannot_be_had_ends_the_agent_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = agent("--spool", str(tmp_path / "file" / "spool"))
    assert result.returncode == 1
    assert "choose another with --spool" in result.stderr


def test_without_a_configuration_a_plain_host_is_watched(tmp_path: Path) -> None:
    with recording() as recorder:
        command = [sys.executable, "-m", "forewarn_agent", "--collector", recorder.url]
        environment = {"STATE_DIRECTORY": str(tmp_path / "state")}
        with running(command, tmp_path / "agent.log", env=environment) as process:
            recorder.wait_for("a round", lambda: recorder.requests)
            process.terminate()
            assert process.wait(10) == 0
        assert (tmp_path / "state" / "spool.db").exists()
        instances = {labels["instance"] for labels, _, _ in recorder.samples()}
        assert instances == {os.uname().nodename}
    # Neither a YAML parser nor watchdog nor TLS is loaded for this.
    script = (
        "import sys; from forewarn_agent.__main__ import main; main(['--print']);"
        "print(sorted({'yaml', 'watchdog', 'ssl', '_ssl', 'http', 'asyncio', 'psutil'}"
        " & sys.modules.keys()))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_a_log_line_is_sent_at_once_with_the_counter_it_changed(tmp_path: Path) -> None:
    with recording() as recorder, logging_agent(tmp_path, recorder.url):
        recorder.wait_for("a round", lambda: recorder.to("/api/v1/write"))
        say(tmp_path, "ERROR 1")
        recorder.wait_for("the event", recorder.events)
        event = recorder.events()[0]
        assert event["body"] == "ERROR 1"
        assert event["service.instance.id"] == "host-1"
        recorder.wait_for(
            "the counter",
            lambda: [
                value
                for labels, value, _ in recorder.samples()
                if labels["__name__"] == "forewarn_log_matches_total" and value == 1
            ],
        )


def test_a_collector_that_is_down_for_the_whole_run_costs_nothing_that_is_not_kept(
    tmp_path: Path,
) -> None:
    port = free_port()
    with logging_agent(tmp_path, f"http://127.0.0.1:{port}") as process:
        output = tmp_path / "agent.log"
        wait_until("it says so", lambda: "Connection refused" in output.read_text())
        say(tmp_path, "ERROR 1")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert output.read_text().count("Connection refused") == 1, "trouble is said once"
    assert waiting(tmp_path) >= 2
    with recording(port) as recorder, logging_agent(tmp_path, recorder.url):
        recorder.wait_for("the event of the other run", recorder.events)
        assert recorder.events()[0]["body"] == "ERROR 1"


def test_kill_9_loses_no_event_and_repeats_none_under_another_uid(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with logging_agent(tmp_path, url) as process:
        wait_until("it runs", lambda: "cannot send" in (tmp_path / "agent.log").read_text())
        for number in range(30):
            say(tmp_path, f"ERROR {number}")
            if number == 15:
                process.send_signal(signal.SIGKILL)
                process.wait()
    with recording(port) as recorder, logging_agent(tmp_path, url):
        recorder.wait_for(
            "all events", lambda: len({event["body"] for event in recorder.events()}) == 30
        )
        uids = {event["log.record.uid"] for event in recorder.events()}
        assert len(uids) == 30


def test_a_changed_configuration_is_taken_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    output = tmp_path / "agent.log"
    with (
        recording() as recorder,
        running_agent(tmp_path, recorder.url, "interval: 1s\n") as process,
    ):
        recorder.wait_for("a round", lambda: intervals(recorder) == {1.0})
        path.write_text("interval: often\n")
        wait_until("it is refused", lambda: "the one in force stays" in output.read_text())
        assert f"{path}:1:11: interval: not a duration" in output.read_text()
        wait_until(
            "it is reported",
            lambda: any(
                labels["__name__"] == "forewarn_agent_config_last_reload_successful" and not value
                for labels, value, _ in recorder.samples()
            ),
        )
        assert intervals(recorder) == {1.0}
        new = tmp_path / "new.yml"  # as editors and configuration management do
        new.write_text("interval: 2s\n")
        new.replace(path)
        recorder.wait_for("the new interval", lambda: 2.0 in intervals(recorder))
        reloads = output.read_text().count("is reloaded")
        process.send_signal(signal.SIGHUP)
        wait_until("SIGHUP too", lambda: output.read_text().count("is reloaded") > reloads)


def test_sighup_without_a_configuration_does_not_end_the_agent(tmp_path: Path) -> None:
    with recording() as recorder, running_agent(tmp_path, recorder.url) as process:
        recorder.wait_for("a round", lambda: recorder.requests)
        process.send_signal(signal.SIGHUP)
        output = tmp_path / "agent.log"
        wait_until("it says so", lambda: "nothing to reload" in output.read_text())
        stop(process)
        assert process.returncode == 0
