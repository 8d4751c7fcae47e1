"""In an Alertmanager's place: amtool, Prometheus, vmalert, Grafana's calls, and crashes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.alertmanager import running_alertmanager
from support.receiver import Receiver
from support.servers import (
    RunningCollector,
    answers,
    call,
    free_port,
    program,
    running,
    running_collector,
)
from support.waiting import wait_until

pytestmark = pytest.mark.server

ROUTES = """
global: {smtp_smarthost: 'localhost:25', smtp_from: a@example.org, smtp_auth_password: hunter2}
route:
  receiver: desk
  group_by: [alertname, instance]
  routes:
    - {receiver: night, matchers: ['team=~"n.*"'], group_by: [cluster]}
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [instance]}
receivers:
  - {name: desk, webhook_configs: [{url: 'DESK'}]}
  - {name: night, slack_configs: [{api_url: 'https://example.org/s3cr3t', channel: '#night'}]}
"""
RULES = """
groups:
  - name: foreign
    rules:
      - alert: From_SENDER
        expr: vector(7) > 5
        labels: {severity: high, instance: always}
        annotations: {summary: "it is {{ $value }}"}
"""


@pytest.fixture(scope="module")
def desk() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, desk: Receiver) -> Iterator[RunningCollector]:
    """A collector with ROUTES; each test has alerts of its own names."""
    folder = tmp_path_factory.mktemp("place")
    with running_collector(folder, *configured(folder, desk)) as collector:
        yield collector


def configured(folder: Path, desk: Receiver) -> list[str]:
    (folder / "alertmanager.yml").write_text(ROUTES.replace("DESK", desk.url))
    (folder / "collector.yml").write_text("alertmanager: alertmanager.yml\n")
    return ["--config", str(folder / "collector.yml"), "--no-auth"]


def amtool(collector: RunningCollector, *arguments: str) -> str:
    command = [program("amtool"), f"--alertmanager.url={collector.url}", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert found.returncode == 0, found.stderr
    return found.stdout


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def post(collector: RunningCollector, path: str, body: Any) -> Any:
    answer = collector.post(path, json.dumps(body).encode(), Content_Type="application/json")
    assert answer.status == 200, answer.body
    return answer.json() if answer.body else None


def open_tasks(collector: RunningCollector, *names: str) -> list[dict[str, Any]]:
    """The open tasks of alerts with these names, or of all."""
    found = collector.tasks(state="open")
    return [task for task in found if not names or task["rule_name"] in names]


def test_amtool_adds_asks_and_silences(place: RunningCollector, desk: Receiver) -> None:
    amtool(place, "alert", "add", "Down", "severity=critical", "instance=web1")
    amtool(place, "alert", "add", "Slow", "severity=warning", "instance=web1")
    active = json.loads(amtool(place, "alert", "query", "instance=web1", "-o", "json"))
    assert [alert["labels"]["alertname"] for alert in active] == ["Down"]
    held = json.loads(amtool(place, "alert", "query", "-i", "instance=web1", "-o", "json"))
    assert [alert["status"]["inhibitedBy"] for alert in held] == [[active[0]["fingerprint"]]]
    found = json.loads(amtool(place, "alert", "query", "alertname=~D.*", "-o", "json"))
    assert len(found) == 1

    made = amtool(place, "silence", "add", "alertname=Full", "--comment=disks come").strip()
    amtool(place, "alert", "add", "Full", "instance=web2")
    (silence,) = json.loads(amtool(place, "silence", "query", "-o", "json"))
    assert (silence["id"], silence["comment"]) == (made, "disks come")
    amtool(place, "silence", "update", "--duration=3h", made)
    (longer,) = json.loads(amtool(place, "silence", "query", "-o", "json"))
    assert longer["id"] == made
    assert longer["endsAt"] > silence["endsAt"]
    # Only what is neither silenced nor inhibited became a task.
    assert [task["rule_name"] for task in open_tasks(place, "Down", "Slow", "Full")] == ["Down"]
    amtool(place, "silence", "expire", made)
    full = wait_until(
        "the silenced alert's task opens",
        lambda: open_tasks(place, "Full"),
    )
    timeline = place.get(f"/api/tasks/{full[0]['number']}").json()["timeline"]
    assert any("silence" in entry["text"] for entry in timeline)
    wait_until("both are delivered", lambda: len(desk.deliveries) == 2)
    first = desk.deliveries[0]
    assert (first["version"], first["status"], first["receiver"]) == ("4", "firing", "desk")
    assert first["groupLabels"] == {"alertname": "Down", "instance": "web1"}
    assert first["alerts"][0]["labels"]["severity"] == "critical"

    backup = place.folder / "silences.json"
    backup.write_text(json.dumps([longer]))
    amtool(place, "silence", "import", str(backup))
    (imported,) = json.loads(amtool(place, "silence", "query", "-o", "json"))
    assert imported["comment"] == "disks come"


def test_amtool_shows_the_configuration_without_its_secrets(place: RunningCollector) -> None:
    shown = amtool(place, "config", "show")
    assert "receiver: night" in shown
    assert "hunter2" not in shown
    assert "s3cr3t" not in shown
    assert '{team=~"n.*"}  receiver: night' in amtool(place, "config", "routes", "show")
    assert amtool(place, "config", "routes", "test", "team=north").strip() == "night"
    assert "disabled" in amtool(place, "cluster", "show")
    assert "slack is not yet a queue" in place.output


def test_without_a_file_and_with_a_token_amtool_works_too(tmp_path: Path) -> None:
    (tmp_path / "acme.token").write_text("a token of acme's own")
    config = tmp_path / "collector.yml"
    config.write_text("tokens: [{name: acme, token_file: acme.token, customer: acme}]")
    with running_collector(tmp_path, "--config", str(config)) as collector:
        http = tmp_path / "amtool.yml"
        http.write_text(f"authorization: {{credentials_file: {collector.data / 'token'}}}")
        given = f"--http.config.file={http}"
        amtool(collector, given, "alert", "add", "Down", "instance=web1")
        assert "receiver: none" in amtool(collector, given, "config", "routes", "show")
        (task,) = open_tasks(collector)
        assert (task["origin"], task["rule_name"]) == ("alertmanager", "Down")
        # A customer's token sends that customer's alerts, and reads nobody's.
        headers = {
            "Authorization": "Bearer a token of acme's own",
            "Content-Type": "application/json",
        }
        body = [{"labels": {"alertname": "Theirs", "customer": "other"}}]
        url = f"{collector.url}/api/v2/alerts"
        assert call(url, json.dumps(body).encode(), headers, "POST").status == 200
        assert [task["customer"] for task in open_tasks(collector, "Theirs")] == ["acme"]
        assert call(url, headers=headers).status == 403
        silences = url.replace("alerts", "silences")
        assert call(silences, json.dumps(SILENCE).encode(), headers, "POST").status == 403
        assert call(url, b"[]", {"Content-Type": "application/json"}, "POST").status == 401


def test_alerts_survive_a_kill_and_end_when_they_are_not_sent_again(
    tmp_path: Path, desk: Receiver
) -> None:
    arguments = configured(tmp_path, desk)
    with running_collector(tmp_path, *arguments) as collector:
        now = time.time()
        lasting = {"labels": {"alertname": "Lasting", "instance": "a"}, "endsAt": stamp(now + 3600)}
        short = {"labels": {"alertname": "Short", "instance": "a"}, "endsAt": stamp(now + 3)}
        post(collector, "/api/v2/alerts", [lasting, short])
        # Answered is durable: nothing is waited for.
        collector.process.send_signal(signal.SIGKILL)
        collector.process.wait()
    with running_collector(tmp_path, *arguments) as collector:
        names = sorted(task["rule_name"] for task in collector.tasks())
        assert names == ["Lasting", "Short"]
        post(collector, "/api/v2/alerts", [lasting])
        ended = wait_until(
            "the other one ends by itself",
            lambda: collector.tasks(state="resolved"),
        )
        assert [task["rule_name"] for task in ended] == ["Short"]
        (open_one,) = open_tasks(collector)
        assert (open_one["rule_name"], open_one["revision"]) == ("Lasting", 1)
        post(
            collector,
            "/api/v2/alerts",
            [{**lasting, "startsAt": stamp(now), "endsAt": stamp(now + 1)}],
        )
        wait_until("it is told to be over", lambda: len(collector.tasks(state="resolved")) == 2)


@pytest.mark.parametrize("sender", ["prometheus", "vmalert"])
def test_a_rule_evaluator_sends_its_alerts_here(
    sender: str, place: RunningCollector, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.replace("SENDER", sender))
    address, listen = place.url.removeprefix("http://"), f"127.0.0.1:{free_port()}"
    if sender == "prometheus":
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {evaluation_interval: 1s}\n"
            f"rule_files: ['{rules}']\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]}}\n"
        )
        command = [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address={listen}",
            # Its first notice may come before it knows to whom.
            "--rules.alert.resend-delay=1s",
        ]
        ready = f"http://{listen}/-/ready"
    else:
        command = [
            program("vmalert"),
            f"-rule={rules}",
            f"-datasource.url={place.url}",
            f"-notifier.url={place.url}",
            "-evaluationInterval=1s",
            f"-httpListenAddr={listen}",
        ]
        ready = f"http://{listen}/health"
    with running(command, tmp_path / f"{sender}.log"):
        wait_until(f"{sender} is ready", lambda: answers(ready))
        (task,) = wait_until("its alert is a task", lambda: open_tasks(place, f"From_{sender}"))
    assert (task["title"], task["severity"]) == ("it is 7", "high")
    assert (task["origin"], task["queue"]) == ("alertmanager", "desk")
    if sender == "prometheus":
        assert task["expr"] == "vector(7) > 5"
    (alert,) = place.get("/api/v2/alerts", filter=f"alertname=From_{sender}").json()
    assert alert["receivers"] == [{"name": "desk"}]


def test_grafanas_data_source_gets_what_it_asks_for(place: RunningCollector) -> None:
    # Its calls, by what it sends: grafana/grafana public/app/plugins/datasource/alertmanager.
    post(place, "/api/v2/alerts", [{"labels": {"alertname": "Graf", "instance": "a"}}])
    status = place.get("/api/v2/status").json()
    assert {"cluster", "config", "uptime", "versionInfo"} <= status.keys()
    query = {"silenced": "true", "active": "true", "inhibited": "true"}
    wanted = {"filter": 'alertname="Graf"', **query}
    (group,) = place.get("/api/v2/alerts/groups", **wanted).json()
    assert group["labels"] == {"alertname": "Graf", "instance": "a"}
    assert group["receiver"] == {"name": "desk"}
    silence = {
        "matchers": [{"name": "alertname", "value": "Graf", "isEqual": True, "isRegex": False}],
        "startsAt": stamp(time.time()),
        "endsAt": stamp(time.time() + 3600),
        "createdBy": "admin",
        "comment": "created 2026",
    }
    made = post(place, "/api/v2/silences", silence)["silenceID"]
    (listed,) = place.get("/api/v2/silences", filter='alertname="Graf"').json()
    assert (listed["id"], listed["status"]) == (made, {"state": "active"})
    assert place.get(f"/api/v2/silence/{made}").json() == listed
    (alert,) = place.get("/api/v2/alerts", **wanted).json()
    assert alert["status"]["silencedBy"] == [made]
    assert place.get("/api/v2/alerts", **wanted | {"silenced": "false"}).json() == []


SOME_ID = "11111111-2222-3333-4444-555555555555"
SILENCE = {
    "matchers": [{"name": "a", "value": "b", "isRegex": False}],
    "startsAt": "2031-01-01T00:00:00Z",
    "endsAt": "2032-01-01T00:00:00Z",
    "createdBy": "me",
    "comment": "x",
}
REFUSED: list[tuple[str, str, Any]] = [
    ("POST", "alerts", [{"labels": {}}]),
    ("POST", "alerts", [{"labels": {"a b": "x"}}]),
    ("POST", "alerts", [{}]),
    ("POST", "alerts", [{"labels": {"a": "b"}}, {"annotations": {}}]),
    (
        "POST",
        "alerts",
        [
            {
                "labels": {"a": "b"},
                "startsAt": "2030-01-01T00:00:00Z",
                "endsAt": "2020-01-01T00:00:00Z",
            }
        ],
    ),
    ("GET", "alerts?filter=nope", None),
    ("GET", "alerts?filter=a%3D~%22(%22", None),
    ("GET", "alerts?filter=a%3D%22x%22y", None),
    ("GET", "alerts?receiver=(", None),
    ("GET", "alerts/groups?filter=nope", None),
    ("GET", "silences?filter=nope", None),
    ("GET", "silence/abc", None),
    ("DELETE", "silence/abc", None),
    ("GET", f"silence/{SOME_ID}", None),
    ("GET", "nothing", None),
    ("POST", "silences", {**SILENCE, "matchers": []}),
    ("POST", "silences", {**SILENCE, "matchers": [{"name": "a", "isRegex": False}]}),
    (
        "POST",
        "silences",
        {**SILENCE, "matchers": [{"name": "a", "value": "", "isRegex": False}]},
    ),
    (
        "POST",
        "silences",
        {**SILENCE, "matchers": [{"name": "a b", "value": "c", "isRegex": False}]},
    ),
    ("POST", "silences", {**SILENCE, "endsAt": "2031-01-01T00:00:00Z"}),
    (
        "POST",
        "silences",
        {**SILENCE, "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2021-01-01T00:00:00Z"},
    ),
    ("POST", "silences", {"matchers": SILENCE["matchers"], "startsAt": "2031-01-01T00:00:00Z"}),
    ("POST", "silences", {**SILENCE, "id": SOME_ID}),
]


UNREADABLE = [
    b"{nope",
    b"{}",
    b'[{"labels": {"a": 1}}]',
    b'[{"labels": {"a": "b"}, "startsAt": "yes"}]',
]


def test_what_an_alertmanager_refuses_is_refused_alike(
    place: RunningCollector, tmp_path: Path
) -> None:
    config = "route: {receiver: one}\nreceivers: [{name: one}]\n"
    with running_alertmanager(tmp_path, config) as peer:
        for method, path, body in REFUSED:
            theirs, ours = ask(peer.url, method, path, body), ask(place.url, method, path, body)
            assert ours == theirs, (method, path, body)
            assert ours[0] >= 400
        for body in (
            b"{nope",
            b"{}",
            b'[{"labels": {"a": 1}}]',
            b'[{"labels":{"a":"b"},"startsAt":"yes"}]',
        ):
            assert unread(peer.url, body) == unread(place.url, body) == (400, 400), body


def ask(url: str, method: str, path: str, body: Any) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    answer = call(f"{url}/api/v2/{path}", content, {"Content-Type": "application/json"}, method)
    return answer.status, answer.json() if answer.body.strip() else None


def unread(url: str, body: bytes) -> tuple[int, Any]:
    """Status and code; the words are those of Go's decoder."""
    answer = call(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"}, "POST")
    return answer.status, answer.json()["code"]
