"""The agent's configuration: golden cases are folders of `config_cases`."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_agent import settings
from forewarn_agent.config import load_config, read_config
from forewarn_agent.settings import AgentConfig, ConfigError
from forewarn_agent.sources import SOURCES

CASES = Path(__file__).parent / "config_cases"
AGENT = Path(__file__).parents[2] / "agent"
ENVIRONMENT = {"FOREWARN_TOKEN": "from-the-environment"}
KNOWN = frozenset({"cpu", "load"})


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_a_configuration_is_read_or_refused_with_every_problem(case: Path) -> None:
    text = (case / "agent.yml").read_text()
    out, err = case / "expected.out", case / "expected.err"
    if err.exists():
        with pytest.raises(ConfigError) as caught:
            read_config(text, "agent.yml", ENVIRONMENT, KNOWN)
        assert str(caught.value) + "\n" == err.read_text()
    else:
        # An expected configuration is written as Python, with the names of `settings`.
        expected = eval(out.read_text(), vars(settings).copy())
        assert read_config(text, "agent.yml", ENVIRONMENT, KNOWN) == expected


def test_a_token_comes_from_the_environment_and_is_never_shown() -> None:
    config = read_config("token: env:FOREWARN_TOKEN", "agent.yml", ENVIRONMENT, KNOWN)
    assert config.token == "from-the-environment"
    assert "from-the-environment" not in repr(config)
    with pytest.raises(ConfigError, match="the environment has no FOREWARN_TOKEN"):
        read_config("token: env:FOREWARN_TOKEN", "agent.yml", {}, KNOWN)


def test_a_secret_in_the_file_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config("token: very-secret-itself", "agent.yml", {}, KNOWN)
    assert "very-secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(str(tmp_path / "absent.yml"), {}, KNOWN)
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yml: cannot be read"):
        load_config(str(tmp_path / "binary.yml"), {}, KNOWN)


def test_files_that_are_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    good = f"token_file: {tmp_path}/token"
    assert read_config(good, "agent.yml", {}, KNOWN).token_file == f"{tmp_path}/token"
    with pytest.raises(ConfigError, match=r"agent\.yml:1:13: token_file: /absent"):
        read_config("token_file: /absent", "agent.yml", {}, KNOWN)


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_an_error(text: str) -> None:
    with suppress(ConfigError):
        read_config(text, "agent.yml", {}, KNOWN)


def test_the_sample_configuration_is_good_and_shows_every_setting(tmp_path: Path) -> None:
    sample = (AGENT / "forewarn-agent.yml").read_text()
    names = frozenset(kind.name for kind in SOURCES)
    assert read_config(sample, "forewarn-agent.yml", {}, names) == AgentConfig(
        collector="http://127.0.0.1:9815"
    )
    # A setting that is commented out has its # at the beginning, without a blank behind it; but
    # one of the two ways to give a token must stay out.
    full = re.sub(r"^#(?=\S| {2})", "", sample.replace("#token: ", "# token: "), flags=re.MULTILINE)
    full = re.sub(r"/etc/forewarn/\w+(\.pem)?", str(CASES.parent / Path(__file__).name), full)
    config = read_config(full, "forewarn-agent.yml", {}, names)
    assert config.processes
    assert config.checks
    assert config.logs
    for kind in (
        settings.AgentConfig,
        settings.SpoolSettings,
        settings.FilesystemSettings,
        settings.DiskSettings,
        settings.NetworkSettings,
        settings.ProcessGroup,
        settings.HttpCheck,
        settings.LogSettings,
        settings.LogPattern,
    ):
        for field in kind._fields:
            name = "disable" if field == "disabled" else field
            assert re.search(rf"\b{name}:", sample), f"{kind.__name__}.{name} is not in the sample"


def test_every_flag_and_own_metric_is_in_the_readme() -> None:
    readme = (AGENT / "README.md").read_text()
    main = (AGENT / "forewarn_agent" / "__main__.py").read_text()
    for flag in re.findall(r'add\(\s*"(--[a-z-]+)"', main):
        assert f"`{flag}" in readme, flag
    for path in (AGENT / "forewarn_agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for name in re.findall(r"^forewarn_(?:agent|log)_\w+$", node.value):
                    if name != "forewarn_agent":
                        assert f"`{name}" in readme, f"{name} of {path.name}"
