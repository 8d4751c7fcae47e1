"""`forewarn tasks`, `silences`, `queues` and `audit` against a real collector."""

from __future__ import annotations

import getpass
import json
import re
import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from forewarn_collector.cli import build
from forewarn_collector.cli.client import EXIT_CODES
from support.two_customers import ACME, BRAVO, TwoCustomers
from support.waiting import wait_until

Forewarn = Callable[..., Result]


@pytest.fixture
def forewarn(world: TwoCustomers, monkeypatch: pytest.MonkeyPatch) -> Forewarn:
    monkeypatch.setenv("FOREWARN_SERVER", world.collector.url)
    command = build(lambda: int(time.time() * 1000))

    def run(*arguments: str, who: str = "admin") -> Result:
        monkeypatch.setenv("FOREWARN_TOKEN", world.tokens[who])
        return CliRunner().invoke(command, list(arguments))

    return run


def test_a_task_is_handled_from_a_terminal(world: TwoCustomers, forewarn: Forewarn) -> None:
    number = world.tasks[ACME]
    steps = (
        (("ack", number, "--text", "after lunch"), "acknowledged"),
        (("assign", number, "bob"), "acknowledged, assigned to bob"),
        (("assign", number), "acknowledged"),
        (("start", number, "--text", "on it"), f"in_progress, assigned to {getpass.getuser()}"),
        (("wait", number, "2h", "--text", "parts"), f"waiting, assigned to {getpass.getuser()}"),
        (("assign", number, "bob"), "waiting, assigned to bob"),
        (("comment", number, "parts came"), "waiting, assigned to bob"),
        (("resolve", number, "--text", "mended"), "resolved, assigned to bob"),
        (("reopen", number), "open, assigned to bob"),
        (
            ("close", number, "wont_fix", "--mute-for", "7d", "--text", "so be it"),
            "closed, assigned to bob",
        ),
    )
    for arguments, state in steps:
        done = forewarn("tasks", *arguments, who=f"operator {ACME}")
        assert done.exit_code == 0, done.output
        assert f"{number} is {state}: " in done.output
    shown = json.loads(forewarn("tasks", "show", number, "--json").output)
    assert f"Acknowledged by {getpass.getuser()}: after lunch" in [
        entry["text"] for entry in shown["timeline"]
    ]
    assert (shown["assignee"], shown["close_reason"]) == ("bob", "wont_fix")
    assert re.search(r"^assignee +bob *$", forewarn("tasks", "show", number).output, re.MULTILINE)
    listed = forewarn("tasks", "list", "--all", "--assignee", "bob", "--last", "1h", "--json")
    assert [task["number"] for task in json.loads(listed.output)["tasks"]] == [number]
    entries = json.loads(forewarn("audit", "--of", number, "--json").output)["entries"]
    assert entries[0]["action"] == "closed"
    assert {each["detail"].get("token", "") for each in entries} == {"", f"operator-{ACME}"}
    table = forewarn("audit", "--of", number, "--action", "closed").output
    assert "operator" in table
    assert "so be it" in table or "wont_fix" in table


def test_a_list_that_is_cut_says_so(forewarn: Forewarn) -> None:
    cut = forewarn("tasks", "list", "--all", "--limit", "1", "--sort", "opened_at")
    assert cut.exit_code == 0
    assert "the first 1 of 4; --limit shows more" in cut.stderr
    assert "FW-1 " in cut.stdout


def test_a_silence_is_made_shown_and_ended_from_a_terminal(forewarn: Forewarn) -> None:
    made = forewarn("silences", "add", "alertname=Nothing", "--comment", "disks", "--by", "ann")
    assert made.exit_code == 0, made.output
    name = made.output.strip()
    assert 'alertname="Nothing"' in forewarn("silences", "show", name).output
    assert name in forewarn("silences", "list").output
    assert forewarn("silences", "expire", name).output == "1 expired\n"
    assert name not in forewarn("silences", "list").output
    assert name in forewarn("silences", "list", "--all").output


def test_queues_are_seen_from_a_terminal(world: TwoCustomers, forewarn: Forewarn) -> None:
    world.settled(world.tasks[BRAVO])
    assert "support" in forewarn("queues", "list").output
    found = forewarn("queues", "deliveries", "support", "--state", "delivered", "--limit", "1")
    assert world.tasks[BRAVO] in found.output or "FW-" in found.output
    assert (
        forewarn("queues", "deliveries", "support", "--state", "dead").output == "no deliveries\n"
    )


@pytest.mark.parametrize(
    ("who", "arguments", "code", "said"),
    [
        ("admin", ("tasks", "show", "FW-999"), 3, "there is no task FW-999"),
        ("admin", ("tasks", "wait", "FW-1", "soon"), 2, "DURATION"),
        ("admin", ("queues", "revive", "support", "0" * 36), 4, "only these can be revived"),
        ("viewer acme", ("tasks", "ack", "FW-1"), 5, "has the role viewer"),
        ("operator", ("audit",), 5, "needs the role admin"),
        ("admin", ("tasks", "list", "--sort", "x"), 1, "sort: expected one of standing"),
        ("admin", ("tasks", "list", "--server", "http://127.0.0.1:9"), 6, "no collector answers"),
    ],
)
def test_the_exit_code_says_what_went_wrong(
    forewarn: Forewarn, who: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    failed = forewarn(*arguments, who=who)
    assert (failed.exit_code, said in failed.output) == (code, True), failed.output


def test_what_an_alert_says_drives_no_terminal(world: TwoCustomers, forewarn: Forewarn) -> None:
    red = "\x1b[31mred"
    alert = {
        "labels": {"alertname": "Hostile", "instance": red},
        "annotations": {"summary": f"a\n{red}", "description": f"b\n{red}"},
    }
    assert world.call(f"agent {BRAVO}", "POST", "/api/v2/alerts", [alert]).status == 200

    def listed() -> list[dict[str, str]]:
        found = forewarn("tasks", "list", "--rule", "/alertmanager/Hostile", "--json").output
        tasks: list[dict[str, str]] = json.loads(found)["tasks"]
        return tasks

    (task,) = wait_until("the task opens", listed)
    assert task["title"] == "a [31mred"
    for said in (("show", task["number"]), ("list",), ("ack", task["number"])):
        output = forewarn("tasks", *said).output
        assert "[31mred" in output
        assert "\x1b" not in output


@pytest.mark.parametrize("group", ["tasks", "silences", "queues", "audit"])
def test_the_help_has_the_exit_codes(forewarn: Forewarn, group: str) -> None:
    told = " ".join(forewarn(group, "--help").output.split())
    assert " ".join(EXIT_CODES.split()) in told
