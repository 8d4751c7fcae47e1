"""`forewarn queues add | test`: a queue set up by questions, and tried before it counts."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from forewarn_collector.config import read_config
from forewarn_collector.queues import DeliveryError, Queue, queues_from_section
from forewarn_collector.queues.questions import QUESTIONS, Question
from forewarn_collector.queues.trial import try_queue
from forewarn_wire import Problem
from forewarn_wire.clock import Clock
from forewarn_wire.document import read_document

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_REFERENCES = ("file:", "env:")
_QUEUES = re.compile(r"^queues:[ \t]*(#.*)?\n", re.MULTILINE)
_DEFAULT = re.compile(r"^default_queue:", re.MULTILINE)

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="collector.yml",
    show_default=True,
    help="The collector's configuration.",
)


@click.command()
@click.argument("kind", type=click.Choice(sorted(QUESTIONS)))
@config_option
@click.option("--name", help="The queue's name. [default: asked for]")
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="SETTING=VALUE",
    help="The answer to a question, so that it is not asked; for other settings too.",
)
@click.option("--no-test", is_flag=True, help="Do not try it before it is written.")
@click.pass_obj
def add(
    clock: Clock,
    kind: str,
    *,
    config_file: Path,
    name: str | None,
    given: Sequence[str],
    no_test: bool,
) -> None:
    """Set up a queue of KIND: asks for what it needs, tries it, and writes it down.

    A secret that is typed in goes to a file of its own beside the configuration, which only its
    owner may read; file:PATH or env:VARIABLE name one that is somewhere already.
    """
    name = name or click.prompt("Name of the queue", default=kind)
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r}: letters, digits, dots, hyphens", param_hint="--name")
    content = config_file.read_text("utf-8") if config_file.exists() else ""
    others = _names_in(content, config_file)
    if name in others:
        raise click.ClickException(f"{config_file} has a queue {name} already")
    settings: dict[str, Any] = {"kind": kind}
    secrets: dict[Path, str] = {}
    known = dict(_pair(text) for text in given)
    for question in QUESTIONS[kind]:
        answer = known.pop(question.setting, None)
        if answer is None:
            answer = _ask(question)
        elif question.secret:
            _keep_secret(question.setting, answer)
        if not answer:
            continue
        if question.secret and not answer.startswith(_REFERENCES):
            path = config_file.absolute().parent / "secrets" / f"{name}.{question.setting}"
            secrets[path] = answer
            answer = f"file:{path}"
        value = [item.strip() for item in answer.split(",")] if question.several else answer
        settings[question.setting] = value
    settings |= {setting: yaml.safe_load(value) for setting, value in known.items()}
    changed = _with_queue(content, name, settings, default=[*others, name][0])
    written = list(_write_secrets(secrets))
    try:
        queue = _queue_in(changed, config_file, name)
        if not no_test:
            _try(name, queue, clock)
    except click.ClickException:
        for path in written:
            path.unlink()
        raise
    _replace(config_file, changed)
    for path in written:
        click.echo(f"its secret is in {path}: the collector's user must own that file")
    click.echo(f"{name} is in {config_file}; restart the collector to use it")
    default = read_config(changed, str(config_file)).default_queue
    if default != name:
        said = f"tasks go to {default}, but for rules whose task.queue is {name}"
        click.echo(f"{said}; default_queue: {name} changes that")


@click.command()
@click.argument("name")
@config_option
@click.pass_obj
def test(clock: Clock, name: str, *, config_file: Path) -> None:
    """Try the queue NAME: the rights of its token, then a test ticket that is made and closed."""
    try:
        content = config_file.read_text("utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot read {config_file}: {error.strerror}") from error
    _try(name, _queue_in(content, config_file, name), clock)


def _ask(question: Question) -> str:
    prompt = question.prompt
    if question.secret:
        prompt += " (or file:PATH, env:VARIABLE)"
    if question.optional and not question.default:
        prompt += " (nothing: none)"
    while True:
        default = question.default or ("" if question.optional else None)
        said: str = click.prompt(
            prompt,
            default=default,
            show_default=bool(question.default),
            hide_input=question.secret,
        )
        if said.strip() or question.optional:
            return said.strip()


def _keep_secret(setting: str, answer: str) -> None:
    """Refuse a secret that stands on the command line."""
    if answer and not answer.startswith(_REFERENCES):
        said = f"{setting} is a secret, and everybody on this machine can read a command line"
        hint = "write file:PATH or env:VARIABLE, or leave it out and be asked"
        raise click.BadParameter(f"{said}: {hint}", param_hint="--set")


def _pair(text: str) -> tuple[str, str]:
    setting, equals, value = text.partition("=")
    if not equals or not setting:
        raise click.BadParameter(f"{text!r} is not SETTING=VALUE", param_hint="--set")
    return setting, value


def _names_in(content: str, file: Path) -> list[str]:
    document = read_document(content, str(file), [])
    section = document.section("queues") if document is not None else None
    return section.names() if section is not None else []


def _queue_in(content: str, file: Path, name: str) -> Queue:
    config = read_config(content, str(file))
    queues = queues_from_section(config.queues) if config.queues is not None else {}
    if config.problems:
        raise click.ClickException("\n".join(str(problem) for problem in _sorted(config.problems)))
    if name not in queues:
        known = ", ".join(queues) or "none"
        raise click.ClickException(f"{file} has no queue {name}; there are: {known}")
    return queues[name]


def _sorted(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _try(name: str, queue: Queue, clock: Clock) -> None:
    async def run() -> None:
        try:
            async for step in try_queue(name, queue, clock()):
                click.echo(f"  ok  {step.what}{f': {step.found}' if step.found else ''}")
        finally:
            await queue.close()

    try:
        asyncio.run(run())
    except DeliveryError as error:
        raise click.ClickException(f"the queue {name} does not work: {error}") from error


def _with_queue(content: str, name: str, settings: Mapping[str, Any], default: str) -> str:
    """The configuration with one more queue; all else, comments too, stays as it is.

    Where it names no default, `default` becomes it: the queue that was alone goes on to be it.
    """
    if content and not content.endswith("\n"):
        content += "\n"
    section = yaml.safe_dump({name: settings}, sort_keys=False, allow_unicode=True, width=1000)
    at = _QUEUES.search(content)
    if at is None:
        if re.search(r"^queues:", content, re.MULTILINE):
            raise click.ClickException(
                f"queues: stands on one line; put this under it yourself:\n{section}"
            )
        content += f"\nqueues:\n{_indented(section, 2)}"
    else:
        following = re.match(r"(?:[ \t]*(?:#.*)?\n)*([ ]+)\S", content[at.end() :])
        indent = len(following.group(1)) if following else 2
        content = content[: at.end()] + _indented(section, indent) + content[at.end() :]
    if not _DEFAULT.search(content):
        content += f"default_queue: {default}\n"
    return content


def _indented(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in text.splitlines())


def _write_secrets(secrets: Mapping[Path, str]) -> Iterator[Path]:
    for path, secret in secrets.items():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
        yield path


def _replace(file: Path, content: str) -> None:
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o640
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(content, "utf-8")
    fresh.chmod(mode)
    fresh.replace(file)
