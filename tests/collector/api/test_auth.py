"""The data directory's own token: made once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.api.auth import TokenError, own_token, read_token


def test_a_token_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    token = own_token(tmp_path)
    assert len(token) > 40
    assert own_token(tmp_path) == token
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_a_start_that_was_cut_off_leaves_no_half_a_token(tmp_path: Path) -> None:
    (tmp_path / ".token.new").write_text("fw_ha")
    assert len(own_token(tmp_path)) > 40
    assert not (tmp_path / ".token.new").exists()


def test_a_directory_without_room_for_a_token_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=r"cannot write the token to .*nowhere"):
        own_token(tmp_path / "nowhere")


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("short\n")
    with pytest.raises(TokenError, match="shorter than 16"):
        read_token(tmp_path / "t")
