"""Where a tracker is and its token, as configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.queues.tracker_place import Place, read_place
from forewarn_wire import Problem
from forewarn_wire.document import read_document

TOKEN = "s3cret-token"


def read(text: str, url: str = "", token: str = TOKEN) -> tuple[Place | None, list[str]]:
    problems: list[Problem] = []
    section = read_document(text, "c.yml", problems)
    assert section is not None
    place = read_place(section, {"TOKEN": token}, url)
    section.refuse_unknown()
    return place, [str(problem) for problem in problems]


def test_an_address_loses_its_last_slash_and_a_token_its_line_s_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    place, problems = read(f"url: https://t.example/x/\ntoken_file: {tmp_path}/token\ntimeout: 5s")
    assert problems == []
    assert place == Place("https://t.example/x", TOKEN, 5_000, None)
    access = place.access("https://t.example/x/api", {"Authorization": TOKEN}, ("other form",))
    assert access.secrets == (TOKEN, "other form")


def test_an_address_that_is_known_need_not_be_given() -> None:
    place, _ = read("token: env:TOKEN", url="https://github.com")
    assert place is not None
    assert place.url == "https://github.com"


def test_plain_http_is_for_this_machine_only() -> None:
    assert read("url: http://127.0.0.1:8080\ntoken: env:TOKEN")[0] is not None
    place, [problem] = read("url: http://t.example\ntoken: env:TOKEN")
    assert place is None
    assert "in the clear" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token: env:TOKEN", "url is missing"),
        ("url: https://t.example", "token_file is missing"),
        ("url: https://ann:pw@t.example\ntoken: env:TOKEN", "without a name"),
        ("url: https://t.example/?x=1\ntoken: env:TOKEN", "without a name"),
        ("url: ftp://t.example\ntoken: env:TOKEN", "expected an address"),
        ("url: https://t.example\ntoken: s3cret-token", "must not stand in the configuration"),
        ("url: https://t.example\ntoken: env:TOKEN\nca_file: /nowhere.pem", "PEM"),
        ("url: https://t.example\ntoken: env:TOKEN\ntimeout: 2h", "timeout"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_shown(text: str, said: str) -> None:
    place, [problem] = read(text)
    assert place is None
    assert said in problem
    assert TOKEN not in problem
    assert "pw" not in problem


@pytest.mark.parametrize("token", ["two\nlines", "two words", "t\u00f6ken"])
def test_a_token_that_is_none_is_refused_before_it_is_sent(token: str) -> None:
    place, [problem] = read("url: https://t.example\ntoken: env:TOKEN", token=token)
    assert place is None
    assert "the token has a character" in problem
