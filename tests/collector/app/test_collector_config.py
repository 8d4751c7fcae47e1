"""collector.yml is read with every mistake in it found at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.api.status import settings
from forewarn_collector.config import (
    Address,
    ConfigError,
    parse_listen,
    parse_retention,
    read_config,
)
from forewarn_collector.config_damping import Damping
from forewarn_collector.config_objective import ObjectiveConfig
from forewarn_collector.metrics import Metrics
from forewarn_collector.routing import Routes

ROOT = Path(__file__).parents[3]


def test_the_sample_configuration_is_read_without_a_problem() -> None:
    file = ROOT / "collector" / "collector.yml"
    config = read_config(file.read_text(), str(file))
    assert config.problems == []
    assert config.default_queue == "support"


def test_an_alertmanager_file_that_is_not_there_is_told_with_all_else_that_is_wrong() -> None:
    config = read_config("alertmanager: /nowhere/am.yml\ndta: x\n", "c.yml")
    with pytest.raises(ConfigError) as refused:
        Routes(config, "", Metrics())
    assert [(problem.line, problem.file) for problem in refused.value.problems] == [
        (1, "c.yml"),
        (2, "c.yml"),
    ]
    assert "cannot read /nowhere/am.yml: No such file or directory" in str(refused.value)


def test_problems_come_as_they_stand_in_the_file_whatever_is_read_first() -> None:
    config = read_config("queues: {q: {kind: nope}}\nretention: soon\nlisten: here\n", "c.yml")
    with pytest.raises(ConfigError) as refused:
        Routes(config, "", Metrics())
    lines = [line.partition(": ")[0] for line in str(refused.value).splitlines()]
    assert lines == ["c.yml:1:20", "c.yml:2:12", "c.yml:3:9"]


def test_an_alertmanager_file_that_goes_after_the_configuration_was_read_is_told(
    tmp_path: Path,
) -> None:
    file = tmp_path / "am.yml"
    file.write_text("route: {receiver: a}\nreceivers: [{name: a}]\n")
    config = read_config(f"alertmanager: {file}", "c.yml")
    file.unlink()
    with pytest.raises(ConfigError, match=r"am\.yml.*cannot be read"):
        Routes(config, "", Metrics())


RECEIVERS = """
route: {receiver: hook}
receivers:
  - {name: hook, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
  - {name: chat, slack_configs: [{channel: '#x'}]}
"""


def test_a_receiver_is_as_good_as_a_queue_wherever_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "am.yml").write_text(RECEIVERS)
    text = f"""
alertmanager: {tmp_path / "am.yml"}
default_queue: NAME
queues: {{desk: {{kind: log}}}}
service_levels:
  - {{name: all, due: {{high: 1h}}, steps: [{{name: late, after: 1h, notify: NAME}}]}}
"""
    assert read_config(text.replace("NAME", "hook"), "c.yml").problems == []
    # What it tells that we have no queue for, is none.
    wrong = read_config(text.replace("NAME", "chat"), "c.yml").problems
    assert [(each.line, each.hint) for each in wrong] == [
        (6, "queues given: desk, hook"),
        (3, "queues given: desk, hook"),
    ]


def test_the_sample_configuration_names_every_setting() -> None:
    text = (ROOT / "collector" / "collector.yml").read_text()
    for name in (
        "listen",
        "data",
        "retention",
        "events",
        "evaluation_interval",
        "external_url",
        "rules",
        "tls",
        "tokens",
        "queues",
        "default_queue",
        "max_body",
        "external_labels",
        "alertmanagers",
        "alert_relabel_configs",
        "resend_delay",
    ):
        assert f"{name}:" in text, name


def test_all_mistakes_are_told_at_once_with_their_places() -> None:
    config = read_config(
        "listen: nowhere\nretention: 10\nqueue: {}\nqueues: {a: {kind: log}}\ndefault_queue: b\n",
        "c.yml",
    )
    assert [str(problem) for problem in config.problems] == [
        "c.yml:1:9: listen: expected an address such as 127.0.0.1:9815, found 'nowhere'",
        "c.yml:2:12: retention: expected text, found 10; put it in quotes",
        "c.yml:3:1: unknown field queue (did you mean queues?)",
        "c.yml:5:16: default_queue names b, which is not under queues (queues given: a)",
    ]


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:9815", Address("127.0.0.1", 9815), True),
        ("[::1]:1", Address("::1", 1), True),
        ("localhost:80", Address("localhost", 80), True),
        ("127.9.9.9:80", Address("127.9.9.9", 80), True),
        (":9815", Address("0.0.0.0", 9815), False),
        ("10.0.0.1:80", Address("10.0.0.1", 80), False),
        ("host.example:80", Address("host.example", 80), False),
    ],
)
def test_an_address_knows_whether_only_this_machine_reaches_it(
    text: str, address: Address, loopback: bool
) -> None:
    assert parse_listen(text) == address
    assert parse_listen(text).is_loopback is loopback


@pytest.mark.parametrize("text", ["", "9815", "a:b", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as"):
        parse_listen(text)


def test_a_retention_under_a_minute_is_refused() -> None:
    assert parse_retention("1h30m") == 5_400_000
    with pytest.raises(ValueError, match="a minute or more"):
        parse_retention("59s")


def test_the_only_queue_is_the_default_one_and_of_several_one_must_be_named() -> None:
    assert read_config("queues: {a: {kind: log}}", "c.yml").default_queue == "a"
    several = read_config("queues: {a: {kind: log}, b: {kind: log}}", "c.yml")
    assert [str(problem) for problem in several.problems] == [
        "c.yml:1:9: several queues and no default_queue"
        " (name the queue of rules that name none: a, b)"
    ]


def test_files_that_are_not_there_are_told_with_their_places(tmp_path: Path) -> None:
    config = read_config(
        "tokens:\n  - {name: a, token_file: /nope}\n  - {name: a, token_file: /nope}\n"
        "tls: {cert: /nope, key: /nope}\n",
        "c.yml",
    )
    assert [str(problem) for problem in config.problems] == [
        "c.yml:2:27: token_file: cannot read /nope: No such file or directory",
        "c.yml:3:27: token_file: cannot read /nope: No such file or directory",
        "c.yml:4:13: cert: cannot read /nope: No such file or directory",
        "c.yml:4:25: key: cannot read /nope: No such file or directory",
        "c.yml:2:3: 2 tokens are named a (give each its own name)",
    ]


def test_events_may_be_kept_longer_than_samples_and_are_bounded_in_size() -> None:
    config = read_config("events: {retention: 30d, max_size: 5GiB}\n", "c.yml")
    assert config.problems == []
    assert (config.events.retention, config.events.max_size) == (30 * 86_400_000, 5 << 30)
    default = read_config("listen: :1\n", "c.yml").events
    assert (default.retention, default.max_size) == (None, 1 << 30)
    bad = read_config("events: {retention: 1s, max_size: 5, size: 1}\n", "c.yml")
    assert [str(problem).partition(": ")[2] for problem in bad.problems] == [
        "retention: expected a minute or more, found '1s'",
        "max_size: expected 1MiB or more, found 5",
        "unknown field size (did you mean max_size?)",
    ]


def test_how_long_samples_are_kept_and_when_they_are_thinned() -> None:
    day = 86_400_000
    default = read_config("", "c.yml")
    assert (default.retention, default.retention_size) == (400 * day, None)
    assert (default.thinning.after, default.thinning.hourly_after) == (90 * day, 90 * day)
    text = "retention: 2y\nretention_size: 50GiB\nthinning: {after: 400d}\n"
    config = read_config(text, "c.yml")
    assert (config.retention, config.retention_size) == (730 * day, 50 << 30)
    assert (config.thinning.after, config.thinning.hourly_after) == (400 * day, 400 * day)
    bad = read_config("thinning: {after: 1d}\nretention_size: 1MiB\n", "c.yml")
    assert len(bad.problems) == 2
    bad = read_config("thinning: {after: 30d, hourly_after: 20d}\n", "c.yml")
    assert len(bad.problems) == 1


def test_a_ledger_is_named_by_a_url_whose_password_stands_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    config = read_config(
        f"ledger: {{url: 'postgres://fw@db:5433/tasks', password_file: {secret}}}\n", "c.yml"
    )
    assert config.problems == []
    assert config.ledger is not None
    assert config.ledger.drivername == "postgresql+psycopg"
    assert (config.ledger.host, config.ledger.port, config.ledger.database) == ("db", 5433, "tasks")
    assert config.ledger.password == "hunter2"
    assert settings(config)["ledger"] == {"url": "postgresql://fw:***@db:5433/tasks"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ledger: {url: 'postgresql://fw:hunter2@db/tasks'}", "a password stands in it"),
        ("ledger: {url: 'mysql://db/tasks'}", "found one of mysql"),
        ("ledger: {url: 'postgresql://db'}", "the URL names no database"),
        ("ledger: {url: 'hunter2'}", "expected a URL such as postgresql://forewarn@db"),
        ("ledger: {}", "url is missing"),
        ("damping: {suppress: 1, reuse: 2}", "reuse must be more than 0 and less than suppress"),
        ("damping: {half_life: 10ms}", "expected a second or more"),
        ("objective: {target: 99}", "expected a share between 0 and 1 such as 0.99, found 99"),
    ],
)
def test_what_is_wrong_with_the_ledger_damping_or_objective_is_said(
    text: str, problem: str
) -> None:
    (found,) = read_config(f"{text}\n", "c.yml").problems
    assert problem in str(found)
    assert "hunter2" not in str(found)


def test_damping_and_objective_are_read() -> None:
    config = read_config(
        "damping: {half_life: 5m, suppress: 3, reuse: 0.5, longest: 30m}\n"
        "objective: {within: 1s, target: 0.999, window: 7d}\n",
        "c.yml",
    )
    assert config.problems == []
    assert config.damping == Damping(300_000, 3_000, 500, 1_800_000)
    assert config.objective == ObjectiveConfig(1_000, 0.999, 7 * 86_400_000)
