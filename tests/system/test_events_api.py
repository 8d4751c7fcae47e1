"""Events of a real collector: sent as OTLP logs, found by the API and from a terminal."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forewarn_collector.cli import build
from support.servers import Answer, RunningCollector, call, running_collector
from support.waiting import wait_until

NOW = int(time.time())


def attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def record(uid: str, seconds: int, body: str, severity: int, kind: str, **more: str) -> Any:
    return {
        "timeUnixNano": str(seconds * 10**9),
        "severityNumber": severity,
        "eventName": kind,
        "body": {"stringValue": body},
        "attributes": [attribute("log.record.uid", uid), *(attribute(*m) for m in more.items())],
    }


def send(collector: RunningCollector, host: str, *records: Any) -> Any:
    resource = {"attributes": [attribute("service.instance.id", host)]}
    scopes = [{"logRecords": list(records)}]
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]}
    token = (collector.data / "token").read_text().strip()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    answer = call(f"{collector.url}/v1/logs", json.dumps(body).encode(), headers)
    assert answer.status == 200, answer.body
    return answer.json()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    with running_collector(tmp_path_factory.mktemp("events")) as found:
        send(
            found,
            "web1",
            record("a/1", NOW - 300, "connect() failed (111: Connection refused)", 17, "log"),
            record("a/2", NOW - 200, "login of ann", 9, "log", file="/var/log/auth.log"),
            record("a/3", NOW - 100, "Killed process 4711 (java)", 21, "oom"),
        )
        send(found, "web2", record("b/1", NOW - 50, "Connection refused \x1b[31m", 13, "log"))
        yield found


def ask(collector: RunningCollector, **given: Any) -> Answer:
    given = {name.replace("match", "match[]"): value for name, value in given.items()}
    return call(f"{collector.url}/api/events?{urllib.parse.urlencode(given, doseq=True)}")


def uids(collector: RunningCollector, **given: Any) -> list[str]:
    answer = ask(collector, **given)
    assert answer.status == 200, answer.body
    assert "warnings" not in answer.json()
    return [event["uid"] for event in answer.json()["data"]["events"]]


def test_events_are_found_by_each_parameter(collector: RunningCollector) -> None:
    assert uids(collector) == ["b/1", "a/3", "a/2", "a/1"]
    assert uids(collector, match='{instance="web1"}') == ["a/3", "a/2", "a/1"]
    assert uids(collector, match=['{instance="web2"}', '{type="oom"}']) == ["b/1", "a/3"]
    assert uids(collector, match='forewarn_events_total{severity="fatal"}') == ["a/3"]
    assert uids(collector, type="oom") == ["a/3"]
    assert uids(collector, type=["oom", "log"], severity=["info", "fatal"]) == ["a/3", "a/2"]
    assert uids(collector, severity_min="warn") == ["b/1", "a/3", "a/1"]
    assert uids(collector, q="refused") == ["b/1", "a/1"]
    assert uids(collector, q='"connection refused" 111') == ["a/1"]
    assert uids(collector, q="/var/log/auth.log") == ["a/2"]
    assert uids(collector, start=NOW - 200, end=NOW - 100) == ["a/3", "a/2"]
    past = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - 250))
    assert uids(collector, end=past) == ["a/1"]


def test_an_event_is_shown_whole_and_alone_by_its_uid(collector: RunningCollector) -> None:
    expected = {
        "time": (NOW - 200) * 1000,
        "type": "log",
        "severity": "info",
        "labels": {"instance": "web1"},
        "body": "login of ann",
        "uid": "a/2",
        "attributes": {"file": "/var/log/auth.log"},
    }
    assert ask(collector, q="ann").json() == {
        "status": "success",
        "data": {"events": [expected], "next": None},
    }
    assert call(f"{collector.url}/api/events/a/2").json()["data"] == expected
    missing = call(f"{collector.url}/api/events/a/9")
    assert (missing.status, missing.json()["errorType"]) == (404, "not_found")


def test_pages_go_on_where_the_last_one_ended(collector: RunningCollector) -> None:
    first = ask(collector, limit=3).json()["data"]
    assert [event["uid"] for event in first["events"]] == ["b/1", "a/3", "a/2"]
    rest = ask(collector, limit=3, cursor=first["next"]).json()["data"]
    assert [event["uid"] for event in rest["events"]] == ["a/1"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"q": "-x"}, 'invalid parameter "q": it only says what must not be there; add a word'),
        ({"q": "x" * 2_000}, "1000 are the most"),
        ({"q": "x" * 900_000}, "1000 are the most"),
        ({"severity": "bad"}, "\"severity\": 'bad' is none of trace, debug, info"),
        ({"severity_min": "5"}, "severity_min"),
        ({"severity": "info", "severity_min": "error"}, "leaves none"),
        ({"limit": "1001"}, "1000 is the most; go on with cursor"),
        ({"limit": "x"}, '"limit"'),
        ({"cursor": "x"}, "is no cursor; give the `next`"),
        ({"cursor": "9" * 19}, "is no cursor"),
        ({"start": "noon"}, '"start"'),
        ({"match": "{"}, "parse error"),
        ({"match": '{a=~"["}'}, "regex"),
        ({"severtiy": "info"}, 'unknown parameter "severtiy"; there are cursor, end'),
    ],
)
def test_what_is_wrong_with_a_parameter_is_named(
    collector: RunningCollector, given: dict[str, str], error: str
) -> None:
    answer = ask(collector, **given)
    assert answer.status == 400
    assert answer.json()["errorType"] == "bad_data"
    assert error in answer.json()["error"]


def test_reads_are_as_open_as_the_other_reads(collector: RunningCollector) -> None:
    answer = call(f"{collector.url}/api/events", headers={"Authorization": "Bearer wrong"})
    assert answer.status == 401


def test_the_metrics_tell_how_many_events_there_are(collector: RunningCollector) -> None:
    text = call(f"{collector.url}/metrics").body.decode()
    assert "\nforewarn_events_stored 4.0\n" in text
    assert '\nforewarn_events_dropped_total{reason="size"} 0.0\n' in text


def run(collector: RunningCollector, *arguments: str) -> str:
    command = build(lambda: NOW * 1000)
    result = CliRunner().invoke(command, ["events", "--server", collector.url, *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_terminal_shows_events_the_oldest_first(collector: RunningCollector) -> None:
    lines = run(collector, "refused").splitlines()
    assert lines[0].endswith("error web1 log: connect() failed (111: Connection refused)")
    assert lines[1].endswith("warn  web2 log: Connection refused �[31m")
    assert len(lines) == 2
    assert "Killed" in run(collector, "--severity", "fatal", "--since", "2m")
    assert run(collector, "--since", "3m", "--until", "2m") == "no events\n"
    shown = run(collector, "--json", "--match", '{instance="web1"}', "--limit", "2").splitlines()
    assert [json.loads(line)["uid"] for line in shown] == ["a/2", "a/3"]


def test_a_terminal_is_told_what_is_wrong(collector: RunningCollector) -> None:
    command = build(lambda: NOW * 1000)
    for arguments, text in (
        (["--", "-x"], "add a word that must be"),
        (["--since", "soon"], "Invalid value for --since"),
        (["--match", "x{"], "parse error"),
    ):
        result = CliRunner().invoke(command, ["events", "--server", collector.url, *arguments])
        assert result.exit_code != 0
        assert text in result.output


def test_a_sender_is_told_of_events_that_are_older_than_what_is_kept(tmp_path: Path) -> None:
    (tmp_path / "collector.yml").write_text("events: {retention: 1h}\n")
    with running_collector(tmp_path, "--config", str(tmp_path / "collector.yml")) as collector:
        send(collector, "web1", record("new", int(time.time()), "it broke", 17, "log"))
        old = record("old", int(time.time()) - 7_200, "it broke", 17, "log")
        answers = iter(range(1_000))

        def told() -> Any:
            # Before retention has looked for the first time, it is taken, and soon dropped.
            again = old | {"attributes": [attribute("log.record.uid", f"old {next(answers)}")]}
            return send(collector, "web1", again, record("new", NOW, "it broke", 17, "log"))

        partial = wait_until("it is refused", lambda: told().get("partialSuccess"))
        assert partial["rejectedLogRecords"] == "1"
        assert "1 records are older than the events that are kept" in partial["errorMessage"]
