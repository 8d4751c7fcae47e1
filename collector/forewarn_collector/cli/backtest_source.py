"""Where a backtest reads signals from: the options, and what is taken without any."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from forewarn_collector.cli.client import DEFAULT_SERVER, find_token
from forewarn_collector.config import CollectorConfig
from forewarn_collector.history import (
    DirectoryFeed,
    DirectoryWindow,
    HistoryError,
    PrometheusFeed,
    Server,
    Window,
)
from forewarn_collector.store import Matcher


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the command line says about the source."""

    config: Path | None
    data: Path | None
    url: str | None
    token_file: Path | None
    user: str | None
    password_file: Path | None
    ca_file: Path | None

    def open(
        self, config: CollectorConfig, selectors: Sequence[Sequence[Matcher]]
    ) -> tuple[str, Window]:
        """The source and its name, for people. Raises HistoryError.

        Without options it is the collector's data directory, else the collector itself.
        """
        if self.url is not None:
            # The collector's own token is nothing that another server should get.
            return self._server(self.url, self._authorization(), selectors)
        if self.data is not None or (config.data / "store.db").exists():
            directory = self.data or config.data
            return str(directory), DirectoryWindow(DirectoryFeed(directory), selectors)
        address = os.environ.get("FOREWARN_SERVER", DEFAULT_SERVER)
        token = find_token(self.token_file)
        try:
            return self._server(address, f"Bearer {token}" if token else "", selectors)
        except HistoryError as error:
            raise HistoryError(
                f"{error}\nthere is no data directory {config.data} either; name one by --data, or"
                " a server by --url"
            ) from error

    def _server(
        self, url: str, authorization: str, selectors: Sequence[Sequence[Matcher]]
    ) -> tuple[str, Window]:
        feed = PrometheusFeed(Server(url, authorization, self.ca_file))
        return f"{url} by {feed.manner}", Window(feed, selectors)

    def _authorization(self) -> str:
        if self.user is not None:
            if self.password_file is None:
                raise click.UsageError("--user needs --password-file")
            pair = f"{self.user}:{_secret(self.password_file)}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        if self.token_file is not None:
            return f"Bearer {find_token(self.token_file)}"
        return ""


_PATH = click.Path(path_type=Path)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which a source is named; the command gets them as `source`."""

    @wraps(command)
    def chosen(
        *arguments: Any,
        config: Path | None,
        data: Path | None,
        url: str | None,
        token_file: Path | None,
        user: str | None,
        password_file: Path | None,
        ca_file: Path | None,
        **rest: Any,
    ) -> None:
        if data is not None and url is not None:
            raise click.UsageError("--data goes without --url")
        if url is None and (user is not None or password_file is not None):
            raise click.UsageError("--user and --password-file go with --url")
        if user is None and password_file is not None:
            raise click.UsageError("--password-file needs --user")
        options = SourceOptions(config, data, url, token_file, user, password_file, ca_file)
        command(*arguments, source=options, **rest)

    for option in (
        click.option("--ca-file", type=_PATH, help="The authority of an https server, in PEM."),
        click.option("--password-file", type=_PATH, help="File with the password of --user."),
        click.option("--user", help="Name for basic authentication at --url."),
        click.option("--token-file", type=_PATH, help="File with the bearer token for --url."),
        click.option("--url", help="Read from this Prometheus, VictoriaMetrics or collector."),
        click.option(
            "--data",
            type=_PATH,
            help="Read from this data directory. [default: ./forewarn-data, else the collector]",
        ),
        click.option(
            "--config",
            type=_PATH,
            help="collector.yml: its data directory, evaluation interval and external labels.",
        ),
    ):
        chosen = option(chosen)
    return chosen


def _secret(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read the password file {file}: {error}") from error
