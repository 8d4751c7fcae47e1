"""A real Redmine with its own SQLite database, as Debian installs it."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.servers import Answer, answers, call, free_port, program, running
from support.waiting import wait_until

_SERVER = Path(__file__).with_name("redmine_server.rb")
_HOME = Path("/usr/share/redmine")


@dataclass(frozen=True)
class Redmine:
    """A Redmine at `url`, whose database is `folder`/redmine.sqlite.

    Projects: support and elsewhere; strict, whose field Site is required; secret, where nobody
    has a right. People: forewarn, ana and ben, managers; limited, who may close nothing; admin.
    `keys` by user.
    """

    url: str
    folder: Path
    keys: dict[str, str]

    def call(self, user: str, method: str, path: str, body: Any = None) -> Answer:
        """What a person does by the REST API."""
        headers = {"X-Redmine-API-Key": self.keys[user], "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return call(self.url + path, data, headers, method, timeout=30)

    def issue(self, ref: str) -> dict[str, Any]:
        """An issue as the administrator sees it."""
        answer = self.call("admin", "GET", f"/issues/{ref}.json?include=journals,attachments")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json()["issue"]
        return found

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What its database has."""
        database = sqlite3.connect(f"file:{self.folder / 'redmine.sqlite'}?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()


@contextmanager
def running_redmine(folder: Path) -> Iterator[Redmine]:
    """A new Redmine with its data in `folder`; it takes about 5 s to come up."""
    ruby = program("ruby")
    if not _HOME.exists():
        said = f"Redmine is not installed in {_HOME}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    for name in ("config", "files", "log", "tmp", "public"):
        (folder / name).mkdir(parents=True)
    database = {"adapter": "sqlite3", "database": str(folder / "redmine.sqlite"), "timeout": 20_000}
    # JSON is YAML.
    (folder / "config" / "database.yml").write_text(json.dumps({"production": database}))
    (folder / "config" / "secret_key.txt").write_text(secrets.token_hex(64))
    keys = folder / "keys.json"
    env = {
        # A folder under Debian's folder of instances: with enough steps up, any folder.
        "REDMINE_INSTANCE": "../" * 8 + str(folder.resolve()).lstrip("/"),
        "BUNDLE_FROZEN": "true",
    }
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [ruby, str(_SERVER), str(port), str(keys)]
    with running(command, folder / "redmine.log", env, cwd=folder) as process:

        def ready() -> bool:
            assert process.poll() is None, (folder / "redmine.log").read_text()
            return keys.exists() and answers(f"{url}/projects.json")

        wait_until("Redmine answers", ready, 180)
        yield Redmine(url, folder, json.loads(keys.read_text()))
