"""The section `queues:` of collector.yml, with every mistake in it at once."""

from __future__ import annotations

from pathlib import Path

from forewarn_collector.queues import EmailQueue, LogQueue, Queue, WebhookQueue, queues_from_section
from forewarn_wire import Problem
from forewarn_wire.document import read_document


def read(text: str, environ: dict[str, str] | None = None) -> tuple[dict[str, Queue], list[str]]:
    problems: list[Problem] = []
    section = read_document(text, "queues.yml", problems)
    queues = {} if section is None else queues_from_section(section, environ or {})
    return queues, [str(problem) for problem in problems]


def test_each_kind_is_read_from_its_section(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    queues, problems = read(
        f"""
eyes: {{kind: log}}
support:
  kind: webhook
  url: https://tickets.example.org/hook
  secret_file: {secret}
  timeout: 5s
chat: {{kind: webhook, url: 'http://127.0.0.1:8080/', secret: 'env:HOOK'}}
mail:
  kind: email
  host: smtp.example.org
  security: tls
  username: forewarn
  password: env:MAIL
  from: Forewarn <forewarn@example.org>
  to: [support@example.org, 'Ann <ann@example.org>']
""",
        {"HOOK": "h", "MAIL": "m"},
    )
    assert problems == []
    assert {name: type(queue) for name, queue in queues.items()} == {
        "eyes": LogQueue,
        "support": WebhookQueue,
        "chat": WebhookQueue,
        "mail": EmailQueue,
    }


def test_all_mistakes_come_at_once_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    queues, problems = read(f"""a: {{kind: telegram}}
b: {{}}
c:
  kind: webhook
  url: ftp://example.org
  secret: hunter2
  timeout: 1h
d:
  kind: webhook
  url: http://example.org
  secret: env:NOWHERE
e:
  kind: email
  host: smtp.example.org
  security: none
  username: u
  from: nobody
  to: []
  port: 99999
  colour: red
f: {{kind: webhook, url: 'http://x', secret_file: {tmp_path}/none}}
g: {{kind: webhook, url: 'http://x', secret_file: {tmp_path}/empty}}
h: text
i: {{kind: email, host: h, from: a@b.c, to: a@b.c, security: starttls, ca_file: /nowhere.pem}}
j:
""")
    assert set(queues) == {"d", "f", "g"}
    expected = [
        "queues.yml:1:11: kind: expected one of log, webhook, email, ",
        "queues.yml:2:4: kind is missing",
        "queues.yml:5:8: url: expected an address such as https://tickets.example.org/hook",
        "queues.yml:6:11: secret must not stand in the configuration itself",
        "queues.yml:7:12: timeout: expected between 100ms and 1m",
        "queues.yml:11:11: the environment has no variable NOWHERE",
        "queues.yml:19:9: port: expected a port from 1 to 65535",
        "queues.yml:17:9: from: expected an address such as support@example.org",
        "queues.yml:18:7: to: expected at least one address",
        "queues.yml:13:3: username and password belong together",
        "queues.yml:16:13: the password would travel in the clear",
        "queues.yml:20:3: unknown field colour",
        f"queues.yml:21:50: {tmp_path}/none can't be read: No such file or directory",
        f"queues.yml:22:50: {tmp_path}/empty is empty",
        "queues.yml:23:4: h must be a mapping",
        "queues.yml:24:80: /nowhere.pem can't be used",
        "queues.yml:25:3: the queue j needs its kind",
    ]
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)
