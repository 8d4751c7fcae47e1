"""Tokens of collector.yml: their roles, what is assumed where none is said, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.api.auth import TokenError, callers_from
from forewarn_collector.api.callers import Caller
from forewarn_collector.config import read_config
from forewarn_collector.config_tokens import Role, Token


def config(tmp_path: Path, fields: str) -> str:
    (tmp_path / "t").write_text("0123456789abcdef")
    return f"tokens:\n  - {{name: a, token_file: {tmp_path}/t{fields}}}\n"


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ("", Role.ADMIN),
        (", customer: acme", Role.AGENT),
        (", role: viewer", Role.VIEWER),
        (", customer: acme, role: operator", Role.OPERATOR),
        (", role: agent", Role.AGENT),
    ],
)
def test_a_token_without_a_role_may_what_it_could_before_there_were_any(
    tmp_path: Path, fields: str, role: Role
) -> None:
    found = read_config(config(tmp_path, fields), "c.yml")
    assert found.problems == []
    assert [token.role for token in found.tokens] == [role]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (", role: root", "expected one of agent, viewer, operator, admin, found 'root'"),
        (", customer: acme, role: admin", "names a customer: an admin sees all"),
    ],
)
def test_a_role_that_makes_no_sense_is_refused(tmp_path: Path, fields: str, said: str) -> None:
    (problem,) = read_config(config(tmp_path, fields), "c.yml").problems
    assert said in str(problem)


def test_two_tokens_that_are_the_same_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("0123456789abcdef\n")
    tokens = tuple(Token(name, tmp_path / name) for name in ("a", "b"))
    with pytest.raises(TokenError, match="the tokens a and b are the same"):
        callers_from("f" * 20, tokens)
    assert callers_from("f" * 20, tokens[:1])["f" * 20] == Caller("own", "", Role.ADMIN)
