"""The databases that a ledger may be in, for tests that hold on each of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url

from support.servers import free_port, stop
from support.waiting import wait_until

_BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
KINDS = ("sqlite", "postgresql")


@dataclass
class Server:
    """A PostgreSQL of this test session; `url` is that of its database."""

    url: URL
    schemas: set[str] = field(default_factory=set)

    def schema(self, name: str) -> URL:
        """The URL of a schema of its own, made where it is not there."""
        if name not in self.schemas:
            self.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
            self.schemas.add(name)
        return self.url.update_query_dict({"options": f"-csearch_path={name}"})

    def execute(self, statement: str) -> list[Any]:
        """Run a statement; its rows, where it has any."""
        plain = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def postgresql() -> Iterator[Server]:
    """A server on a free port, which nobody else can reach; CI fails where it is not installed."""
    if not _BIN:
        if os.environ.get("CI"):
            pytest.fail("postgresql is not installed; .ci/run installs what the tests need")
        pytest.skip("postgresql is not installed (Debian has it)")
    folder = Path(tempfile.mkdtemp(prefix="forewarn-postgresql-"))
    # PostgreSQL refuses to run as root; Debian's package makes a user for it.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    become: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        become = {"user": user, "group": user, "extra_groups": [], "cwd": "/"}
    port = free_port()
    try:
        subprocess.run(
            [_BIN[-1] / "initdb", "-D", folder / "data", "-A", "trust", "-U", "forewarn", "-N"],
            check=True,
            capture_output=True,
            timeout=60,
            **become,
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            # Nothing here is to survive.
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(_BIN[-1] / "postgres"), "-D", str(folder / "data"), *options]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **become)
        try:
            url = make_url(f"postgresql+psycopg://forewarn@127.0.0.1:{port}/postgres")
            server = Server(url)
            wait_until("PostgreSQL answers", lambda: _answers(server))
            yield server
        finally:
            # Fast shutdown: whoever is connected is cut off.
            process.send_signal(signal.SIGINT)
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(server: Server) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        return server.execute("SELECT 1") == [(1,)]
    return False


_SERVER = "FOREWARN_TEST_POSTGRESQL"
"""Has the URL of the server, for a child process of a test that runs on PostgreSQL."""


class Databases:
    """Which kind of database `url` gives now, and the server of this session."""

    def __init__(self) -> None:
        given = os.environ.get(_SERVER)
        self.kind = "postgresql" if given else "sqlite"
        self._stack = contextlib.ExitStack()
        self._server = Server(make_url(given)) if given else None

    @contextmanager
    def on(self, kind: str) -> Iterator[str]:
        """All ledgers are in this kind of database meanwhile."""
        if kind == "postgresql":
            self.server()
        self.kind = kind
        try:
            yield kind
        finally:
            self.kind = "sqlite"

    def environment(self) -> dict[str, str]:
        """The environment of a child process whose ledgers are where ours are."""
        if self.kind == "sqlite":
            return dict(os.environ)
        return {**os.environ, _SERVER: self.server().url.render_as_string(hide_password=False)}

    def arguments(self, directory: Path) -> list[str]:
        """What a collector is told of where its ledger is; nothing where that is its own file."""
        url = self.url(directory)
        if url is None:
            return []
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return ["--ledger", plain]

    def server(self) -> Server:
        """The server, started when first asked for."""
        if self._server is None:
            self._server = self._stack.enter_context(postgresql())
        return self._server

    def url(self, directory: Path) -> URL | None:
        """Where the ledger of a data directory is: the same for the same directory; None: there."""
        if self.kind == "sqlite":
            return None
        digest = hashlib.sha256(str(directory).encode()).hexdigest()[:24]
        return self.server().schema(f"t{digest}")

    def close(self) -> None:
        """Stop the server."""
        self._stack.close()
        self._server = None


DATABASES = Databases()
