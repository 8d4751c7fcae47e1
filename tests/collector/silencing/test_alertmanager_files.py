"""An alertmanager.yml is read whole: what is taken, what is not, and all that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.cli import build
from forewarn_collector.silencing import Email, Pager, Route, Webhook, read_alertmanager_file

FULL = """\
global:
  resolve_timeout: 2m
  smtp_smarthost: mail.example.org:587
  smtp_from: alerts@example.org
  smtp_auth_username: fw
  smtp_auth_password: 'hunter2'
  slack_api_url: https://hooks.slack.com/services/s3cr3t
templates: ['*.tmpl']
route:
  receiver: desk
  group_by: [alertname, cluster]
  group_wait: 10s
  routes:
    - receiver: mail
      match: {team: web}
      match_re: {service: ^(a|b)$}
      matchers: ['severity=~"critical|high"', team!=x]
      continue: true
      routes:
        - {group_by: ['...'], mute_time_intervals: [nights]}
    - {receiver: chat}
inhibit_rules:
  - source_match: {severity: critical}
    target_match_re: {severity: warning|info}
    equal: [cluster]
mute_time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]
receivers:
  - name: desk
    webhook_configs:
      - url: https://user:pw@tickets.example.org/hook/t0ken
        send_resolved: false
        http_config: {authorization: {credentials: b3arer}, proxy_url: http://proxy}
  - name: mail
    email_configs: [{to: 'a@example.org, b@example.org', html: '{{ x }}'}]
  - name: chat
    slack_configs: [{channel: '#x'}]
    pagerduty_configs: [{routing_key: k3y, severity: error}]
"""
SECRETS = ("hunter2", "s3cr3t", "t0ken", "b3arer", "k3y", "user:pw")


def test_all_of_a_full_file_is_taken_or_noted() -> None:
    file = read_alertmanager_file(FULL, "am.yml")
    assert file.problems == ()
    assert file.resolve_timeout == 120_000
    assert [str(note).split(" (")[0] for note in file.notes] == [
        "am.yml:7:18: slack_api_url is not taken",
        "am.yml:8:12: *.tmpl matches no file",
        "am.yml:12:15: group_wait: not needed",
        "am.yml:34:72: http_config.proxy_url is not taken",
        "am.yml:38:20: chat: slack is not yet a queue",
        "am.yml:39:54: severity is not taken",
    ]
    desk, mail, chat = file.receivers.values()
    (webhook,), (email,) = desk.told, mail.told
    assert isinstance(webhook, Webhook)
    assert webhook.http.authorization == "Bearer b3arer"
    assert not webhook.send_resolved
    assert isinstance(email, Email)
    assert (email.host, email.port, email.username) == ("mail.example.org", 587, "fw")
    assert (email.password, email.require_tls) == ("hunter2", True)
    assert chat.told == (Pager("k3y", "https://events.pagerduty.com/v2/enqueue"),)
    assert chat.others == ("slack",)


def test_routes_inherit_from_above() -> None:
    root = read_alertmanager_file(FULL, "am.yml").route
    mail, chat = root.routes
    (nights,) = mail.routes
    assert (chat.group_by, chat.group_wait) == (("alertname", "cluster"), 10_000)
    assert (nights.receiver, nights.group_by, nights.group_wait) == ("mail", None, 10_000)
    key = '{}/{service=~"^(a|b)$",severity=~"critical|high",team="web",team!="x"}'
    assert mail.key == key
    labels = {"team": "web", "service": "a", "severity": "high"}
    assert [route.key for route in root.match(labels)] == [f"{key}/{{}}", "{}/{}"]
    assert Route("all", group_by=None).group_labels((("a", "b"),)) == (("a", "b"),)


def test_what_is_shown_has_no_secret_and_reads_as_before() -> None:
    file = read_alertmanager_file(FULL, "am.yml")
    assert not [secret for secret in SECRETS if secret in file.shown]
    assert "https://tickets.example.org/" in file.shown
    assert "<secret>" in file.shown
    again = read_alertmanager_file(file.shown, "am.yml")
    assert (again.route, again.inhibit_rules, again.problems) == (
        file.route,
        file.inhibit_rules,
        (),
    )
    assert not [secret for secret in SECRETS if secret in repr(file)]


WRONG = """\
route:
  receiver: nobody
  matchers: [a=b]
  group_by: [alertname, '...']
  routes:
    - {matchers: ['a=~"("', nonsense], mute_time_intervals: [never], grup_by: [x]}
inhibit_rules: [{source_matchers: [a=b], equal: ['no label']}]
receivers:
  - {name: one, webhook_configs: [{url: ftp://x}]}
  - {name: one, email_configs: [{to: x}]}
"""


def test_everything_wrong_is_said_at_once_with_its_place() -> None:
    file = read_alertmanager_file(WRONG, "am.yml")
    assert [str(problem) for problem in file.problems] == [
        'am.yml:2:13: undefined receiver "nobody" used in route',
        "am.yml:3:13: root route must not have any matchers",
        "am.yml:4:13: group_by: cannot have wildcard group_by (`...`) and other labels",
        "am.yml:6:18: matchers: error parsing regexp: missing closing ): `^(?:()$`",
        'am.yml:6:61: undefined time interval "never" used in route',
        "am.yml:6:70: unknown field grup_by (did you mean group_by?)",
        "am.yml:7:49: equal: not a label's name: 'no label'",
        "am.yml:9:41: url: expected an address such as https://tickets.example.org/hook",
        'am.yml:10:12: notification config name "one" is not unique (give each its own)',
        "am.yml:10:33: no global SMTP smarthost set (smarthost: mail.example.org:587)",
        "am.yml:10:33: no global SMTP from set (from: alerts@example.org)",
    ]


def test_the_command_lists_what_is_taken_and_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "am.yml"
    path.write_text(FULL)
    command = build(lambda: 0)
    said = CliRunner().invoke(command, ["alertmanager", "check", str(path)])
    assert said.exit_code == 0, said.output
    assert "4 routes" in said.output
    assert "chat: PagerDuty, in our own words" in said.output
    assert f"{path}:8:12: *.tmpl matches no file" in said.output
    assert f"{path}:36:64: mail: html can't be carried out: function 'x' not" in said.output
    assert not [secret for secret in SECRETS if secret in said.output]
    path.write_text(WRONG)
    told = CliRunner().invoke(command, ["alertmanager", "check", "--json", str(path)])
    assert told.exit_code == 1
    assert len(json.loads(told.output)["problems"]) == 11


def test_a_pager_of_the_old_api_is_no_queue_and_one_without_a_key_is_refused() -> None:
    text = """
route: {receiver: a}
global: {pagerduty_url: https://events.eu.pagerduty.com/v2/enqueue}
receivers:
  - {name: a, pagerduty_configs: [{service_key: k3y}, {routing_key: k, send_resolved: false}]}
"""
    file = read_alertmanager_file(text, "am.yml")
    assert file.problems == ()
    eu = "https://events.eu.pagerduty.com/v2/enqueue"
    assert file.receivers["a"].told == (Pager("k", eu, send_resolved=False),)
    assert file.receivers["a"].others == ("pagerduty",)
    wrong = text.replace("service_key: k3y", "class: disk")
    [problem] = read_alertmanager_file(wrong, "am.yml").problems
    assert "missing service or routing key in PagerDuty config" in str(problem)


@given(st.text(max_size=200) | st.binary(max_size=50).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_file_or_has_problems(text: str) -> None:
    file = read_alertmanager_file(text, "am.yml")
    assert file.problems or file.route.receiver
