"""Calls to a running collector, with its token found where a sysadmin would look for it."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

DEFAULT_SERVER = "http://127.0.0.1:9815"
_TIMEOUT = 10.0


EXIT_CODES = """Exit codes: 0 done, 1 failed, 2 not understood, 3 there is no such thing,
4 it can't be done now, 5 the token may not, 6 no collector answers."""
"""What every command that asks a collector ends its help with."""

_EXITS = {401: 5, 403: 5, 404: 3, 409: 4, 412: 4, 422: 4, 503: 6}
_UNREACHABLE = 6


class CallError(click.ClickException):
    """A call that failed; the exit code says in which way."""

    exit_code: int  # type: ignore[misc]  # click has it for the class, and reads the instance's

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another server."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """The collector at `server`; the token comes from `token_file` or FOREWARN_TOKEN."""

    def __init__(self, server: str, token_file: Path | None, ca_file: Path | None = None) -> None:
        if not server.startswith(("http://", "https://")):
            raise click.BadParameter(f"{server} is no http:// or https:// address")
        self._server = server.rstrip("/")
        self._token = find_token(token_file)
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise click.ClickException(f"cannot use the CA file {ca_file}: {error}") from error
        https = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(_NoRedirect, https)

    def get(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> Any:
        """The JSON at a path. Ends the command with what is wrong if there is none."""
        text = urllib.parse.urlencode(query or {}, doseq=True)
        return self._call("GET", f"{path}?{text}" if text else path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON and return the JSON answered. Ends the command with what is wrong."""
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self._server + path, body, headers, method=method
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                said = answer.read()
                return json.loads(said) if said else None
        except urllib.error.HTTPError as error:
            with error:
                raise CallError(_reason(error), _EXITS.get(error.code, 1)) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLError):
                raise CallError(
                    f"{self._server} can't be trusted: {reason}; --ca-file names its authority",
                    _UNREACHABLE,
                ) from error
            raise CallError(
                f"no collector answers at {self._server}: {reason}; is `forewarn serve` running?",
                _UNREACHABLE,
            ) from error


def connection(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which every command finds the collector; it gets them as `client`."""

    @wraps(command)
    def connected(
        *arguments: Any, server: str, token_file: Path | None, ca_file: Path | None, **rest: Any
    ) -> None:
        command(*arguments, client=Client(server, token_file, ca_file), **rest)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            help="File with the token. [default: FOREWARN_TOKEN, ./forewarn-data/token]",
        ),
        click.option(
            "--ca-file",
            type=click.Path(path_type=Path),
            help="The authority of an https collector, in PEM. [default: the system's]",
        ),
        click.option(
            "--server",
            envvar="FOREWARN_SERVER",
            default=DEFAULT_SERVER,
            show_default=True,
            help="The collector's address.",
        ),
    ):
        connected = option(connected)
    return connected


def find_token(token_file: Path | None) -> str:
    """The collector's token, or nothing. Ends the command if a file of it can't be read."""
    if token_file is None and "FOREWARN_TOKEN" in os.environ:
        return _printable(os.environ["FOREWARN_TOKEN"].strip(), "FOREWARN_TOKEN")
    path = token_file or Path("forewarn-data/token")
    try:
        token = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise click.ClickException(f"the token file {path} is not text") from None
    except OSError as error:
        if token_file is None:
            return ""
        raise click.ClickException(f"cannot read the token file {path}: {error}") from error
    return _printable(token, f"the token file {path}")


def _printable(token: str, place: str) -> str:
    """The token, which must fit into a header: if not, an error would show it later."""
    if token.isascii() and (token.isprintable() or not token):
        return token
    raise click.ClickException(f"{place} must hold the token on one line, and nothing else")


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read(4096).decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        said = json.loads(text)
        # Below /api/v2/ an error is a text by itself, or has a message, as Alertmanager's.
        text = said if isinstance(said, str) else said.get("error") or said["message"]
    if error.code == 401:
        return f"{text}\ngive it by --token-file FILE or in the environment as FOREWARN_TOKEN"
    return text or f"the collector answers {error.code}"
