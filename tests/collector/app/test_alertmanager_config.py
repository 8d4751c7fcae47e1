"""`alertmanagers:` of collector.yml: what is read, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.api.status import settings
from forewarn_collector.config import read_config
from forewarn_collector.config_alertmanagers import AlertmanagerConfig, Authorization


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_config(text, "c.yml").problems]


def test_an_address_is_enough() -> None:
    config = read_config("alertmanagers: [{url: 'http://127.0.0.1:9093/am/'}]", "c.yml")
    assert config.problems == []
    assert config.alertmanagers == (AlertmanagerConfig("http://127.0.0.1:9093/am", 10_000),)
    assert config.alertmanagers[0].endpoint == "http://127.0.0.1:9093/am/api/v2/alerts"
    assert config.resend_delay == 60_000


def test_all_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheimnis\n")
    config = read_config(
        f"""
external_labels: {{site: one, empty: ""}}
resend_delay: 30s
alertmanagers:
  - url: https://a.example.org
    timeout: 3s
    authorization: {{credentials_file: {tmp_path}/secret}}
  - url: https://b.example.org
    basic_auth: {{username: forewarn, password_file: {tmp_path}/secret}}
""",
        "c.yml",
    )
    assert config.problems == []
    assert config.external_labels == (("site", "one"),)
    assert config.resend_delay == 30_000
    secret = tmp_path / "secret"
    assert config.alertmanagers == (
        AlertmanagerConfig("https://a.example.org", 3_000, Authorization(secret)),
        AlertmanagerConfig(
            "https://b.example.org", 10_000, Authorization(secret, username="forewarn")
        ),
    )
    assert "geheimnis" not in repr(config)
    shown = settings(config)
    assert shown["alertmanagers"] == [
        {"url": "https://a.example.org"},
        {"url": "https://b.example.org"},
    ]
    assert (shown["resend_delay"], shown["external_labels"]) == ("30s", {"site": "one"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "alertmanagers: http://a",
            ["c.yml:1:16: alertmanagers must be a list (start each item with '- ')"],
        ),
        ("alertmanagers: [{}]", ["c.yml:1:17: url is missing"]),
        (
            "alertmanagers: [{url: 'localhost:9093'}]",
            ["c.yml:1:23: url: expected an address such as http://127.0.0.1:9093"],
        ),
        (
            "alertmanagers: [{url: 'http://me:geheimnis@a'}]",
            [
                "c.yml:1:23: url: no user and password here; use basic_auth with a password_file",
            ],
        ),
        (
            "alertmanagers: [{url: 'http://a'}, {url: 'http://a/'}]",
            ["c.yml:1:16: http://a is given 2 times (keep one of them)"],
        ),
        (
            "alertmanagers: [{url: 'http://a', timeout: 0s}]",
            ["c.yml:1:44: timeout: expected between 100ms and 5m, found '0s'"],
        ),
        (
            "alertmanagers: [{url: 'http://a', authorization: {credentials: geheimnis}}]",
            [
                "c.yml:1:50: credentials_file is missing",
                "c.yml:1:51: unknown field credentials (did you mean credentials_file?)",
            ],
        ),
        (
            "alertmanagers: [{url: 'http://a', basic_auth: {username: 'a:b', password_file: /no}}]",
            [
                "c.yml:1:58: username: expected a name without a colon, found 'a:b'",
                "c.yml:1:80: password_file: cannot read /no: No such file or directory",
            ],
        ),
        (
            "alertmanagers: [{url: 'http://a', tls_config: {ca_file: FILE}}]",
            [
                "c.yml:1:57: ca_file: not usable: NO_CERTIFICATE_OR_CRL_FOUND"
                " (give PEM files that match)"
            ],
        ),
        (
            "alertmanagers: [{url: 'http://a', tls_config: {key_file: FILE}}]",
            ["c.yml:1:58: key_file needs a cert_file (name the certificate, too)"],
        ),
        (
            "resend_delay: 10ms",
            ["c.yml:1:15: resend_delay: expected a second or more, found '10ms'"],
        ),
        (
            "external_labels: {__name__: x}",
            [
                "c.yml:1:18: external_labels: expected names of labels such as site,"
                " found '__name__'"
            ],
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(
    text: str, expected: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "no.pem"
    file.write_text("no certificate\n")
    assert problems(text.replace("FILE", str(file))) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"geheimnis\nmore", b"geheimnis\xff"])
def test_a_secret_is_one_line_of_text_and_never_shown(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    [problem] = problems(
        f"alertmanagers: [{{url: 'http://a', authorization: {{credentials_file: {file}}}}}]"
    )
    assert problem.startswith(f"c.yml:1:69: credentials_file: {file}")
    assert "geheimnis" not in problem
