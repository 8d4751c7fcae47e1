"""The same alertmanager.yml with Debian's Alertmanager and here: receivers are told the same."""

from __future__ import annotations

import copy
import json
import signal
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from support.alertmanager import running_alertmanager
from support.deliveries import PostOffice
from support.receiver import Receiver
from support.servers import RunningCollector, call, free_port, running_collector
from support.waiting import wait_until

pytestmark = pytest.mark.server

ROUTES = """
global: {smtp_smarthost: '127.0.0.1:SMTP', smtp_from: am@example.org, smtp_require_tls: false}
templates: ['*.tmpl']
route:
  receiver: hook
  group_by: [alertname, team]
  group_wait: 100ms
  group_interval: 1s
  routes:
    - {receiver: hook, matchers: [team=web], continue: true}
    - {receiver: mail, matchers: [team=web]}
receivers:
  - {name: hook, webhook_configs: [{url: 'HOOK'}]}
  - name: mail
    email_configs:
      - to: '{{ .CommonLabels.team }}@example.org, chief@example.org'
        send_resolved: true
        headers: {subject: '{{ template "team.subject" . }}', X-Team: '{{ .CommonLabels.team }}'}
        text: '{{ range .Alerts }}{{ .Status }} {{ .Labels.instance }} {{ .StartsAt }}|{{ end }}'
        html: '{{ template "team.html" . }}'
"""
TEMPLATES = """
{{ define "team.subject" }}[{{ .Status | toUpper }}:{{ .Alerts.Firing | len }}]
 {{- range .GroupLabels.SortedPairs }} {{ .Value }}{{ end }} größer{{ end }}
{{ define "team.html" }}<h1>{{ .CommonAnnotations.summary }}</h1><ul>
{{ range .Alerts }}<li><a href="{{ .GeneratorURL }}" title='{{ .Annotations.description }}'>
{{ .Labels.instance }}</a> {{ .EndsAt.IsZero }}</li>
{{ end }}</ul>{{ end }}
"""
ALERTS = [
    {
        "labels": {"alertname": "Slow", "team": "web", "instance": name},
        "annotations": {"summary": "it's <slow>", "description": f'"{name}" & more'},
        "startsAt": "2023-11-14T22:13:20.123Z",
        "generatorURL": f"https://prom.example.org/graph?g0.expr={name}+%3E+1&g0.tab=1",
    }
    for name in ("web1", "web2")
]


class Peers:
    """What an Alertmanager and a collector of the same configuration tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.hook, self.office, self.port = Receiver(), PostOffice(), free_port()
        self.smtp = Controller(self.office, hostname="127.0.0.1", port=self.port)
        self.smtp.start()
        self.write(ROUTES)
        (folder / "team.tmpl").write_text(TEMPLATES, encoding="utf-8")

    def write(self, routes: str) -> str:
        text = routes.replace("HOOK", self.hook.url).replace("SMTP", str(self.port))
        (self.folder / "alertmanager.yml").write_text(text)
        return text

    def close(self) -> None:
        self.smtp.stop()
        self.hook.close()


def post(url: str, alerts: list[dict[str, Any]]) -> None:
    body = json.dumps(alerts).encode()
    answer = call(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body


def ended(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**alert, "endsAt": "2023-11-14T22:20:00Z"} for alert in alerts]


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Peers]:
    with closing(Peers(tmp_path / "theirs")) as peers:
        yield peers


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Peers]:
    with closing(Peers(tmp_path / "ours")) as peers:
        yield peers


def started(peers: Peers) -> Any:
    (peers.folder / "collector.yml").write_text("alertmanager: alertmanager.yml\n")
    return running_collector(
        peers.folder, "--config", str(peers.folder / "collector.yml"), "--no-auth"
    )


def hooked(peers: Peers, number: int) -> dict[str, Any]:
    wait_until(f"{number} posts", lambda: len(peers.hook.deliveries) >= number)
    document: dict[str, Any] = copy.deepcopy(peers.hook.deliveries[number - 1])
    document["alerts"].sort(key=lambda alert: alert["labels"]["instance"])
    del document["externalURL"]
    return document


def mailed(peers: Peers, number: int) -> dict[str, Any]:
    wait_until(f"{number} messages", lambda: len(peers.office.messages) >= number)
    message = peers.office.messages[number - 1]
    return {
        "to": peers.office.envelopes[number - 1].rcpt_tos,
        "from": peers.office.envelopes[number - 1].mail_from,
        **{name: str(message[name]) for name in ("Subject", "From", "To", "X-Team")},
        "text": part(message, "plain"),
        "html": part(message, "html"),
    }


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").rstrip("\n")


def test_receivers_are_told_what_alertmanager_tells_them(theirs: Peers, ours: Peers) -> None:
    with (
        running_alertmanager(theirs.folder, theirs.write(ROUTES)) as peer,
        started(ours) as collector,
    ):
        for number, alerts in enumerate((ALERTS, ended(ALERTS)), 1):
            for url in (peer.url, collector.url):
                post(url, alerts)
            assert hooked(ours, number) == hooked(theirs, number)
            assert mailed(ours, number) == mailed(theirs, number)
        assert [alert["status"] for alert in hooked(ours, 2)["alerts"]] == ["resolved"] * 2
        # One task, of which both were told.
        assert [task["queue"] for task in collector.tasks()] == ["hook"]


def test_a_file_that_is_read_anew_holds_from_then_on_and_a_bad_one_does_not(ours: Peers) -> None:
    with started(ours) as collector:
        post(collector.url, [ALERTS[0]])
        hooked(ours, 1)
        mailed(ours, 1)
        ours.write("route: {receiver: nobody}\n")
        answer = collector.post("/-/reload", b"")
        assert answer.status == 500
        assert 'undefined receiver "nobody"' in answer.body.decode()
        assert value(collector, "forewarn_alertmanager_current") == 0
        # What runs goes on: a bad template file changes nothing either.
        ours.write(ROUTES)
        (ours.folder / "team.tmpl").write_text('{{ define "x" }}{{ nothing }}{{ end }}')
        assert "team.tmpl:1:20" in collector.post("/-/reload", b"").body.decode()
        post(collector.url, ended([ALERTS[0]]))
        assert mailed(ours, 2)["Subject"] == "[RESOLVED:0] Slow web größer"

        (ours.folder / "team.tmpl").write_text(TEMPLATES.replace("größer", "anew"))
        changed = ROUTES.replace("name: hook", "name: other").replace(
            "receiver: hook", "receiver: other"
        )
        ours.write(changed)
        collector.process.send_signal(signal.SIGHUP)
        wait_until("it is taken", lambda: value(collector, "forewarn_alertmanager_current") == 1)
        later = {**ALERTS[0], "labels": {**ALERTS[0]["labels"], "alertname": "Later"}}
        post(collector.url, [later])
        assert mailed(ours, 3)["Subject"] == "[FIRING:1] Later web anew"
        told = wait_until("the new receiver is told", lambda: receivers(ours).get("other"))
        assert told == 1
        shown = call(f"{collector.url}/api/v2/status").json()["config"]["original"]
        assert "name: other" in shown

        (ours.folder / "team.tmpl").write_text('{{ define "team.html" }}{{ .Nothing }}{{ end }}')
        ours.write(changed.replace('{{ template "team.subject" . }}', "{{ .Status }}"))
        assert collector.post("/-/reload", b"").status == 200
        post(collector.url, ended([later]))
        assert mailed(ours, 4)["Subject"] == "resolved"
        # A template that fails costs no message.
        assert "FW-2" in mailed(ours, 4)["html"]
        assert value(collector, 'forewarn_template_failures_total{queue="mail"}') == 1
        outcomes = collector.get("/metrics").body.decode()
        assert 'forewarn_alertmanager_reloads_total{outcome="refused"} 2.0' in outcomes
        assert 'forewarn_alertmanager_reloads_total{outcome="taken"} 2.0' in outcomes


def receivers(peers: Peers) -> dict[str, int]:
    names = [body["receiver"] for body in peers.hook.deliveries]
    return {name: names.count(name) for name in names}


def value(collector: RunningCollector, name: str) -> float:
    """The value of a metric of ours, by its name and labels."""
    (line,) = [
        line
        for line in collector.get("/metrics").body.decode().splitlines()
        if line.startswith(f"{name} ")
    ]
    return float(line.split()[1])
