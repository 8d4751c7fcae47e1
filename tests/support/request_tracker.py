"""A real Request Tracker 5 with its own SQLite database, as Debian installs it."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.servers import Answer, answers, call, free_port, program, running
from support.waiting import wait_until

_SERVER = "/usr/share/request-tracker5/libexec/rt-server"
_DATA = Path(__file__).with_name("request_tracker_data.pl")
_CONFIG = """\
Set($rtname, 'forewarn.test');
Set($Organization, 'forewarn.test');
Set($WebDomain, '127.0.0.1');
Set($WebPort, {port});
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{folder}/rt.sqlite');
Set($Timezone, 'UTC');
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');
Set($MailCommand, sub {{ 1 }});
# The tokens' hashes: nobody's secrets.
Set($BcryptCost, 4);
# A workflow in which a ticket must be begun before it can be done, and that is its end.
Set(%Lifecycles, changes => {{
    initial => ['new'], active => ['begun'], inactive => ['done', 'resolved', 'deleted'],
    transitions => {{
        '' => ['new'], new => ['begun', 'deleted'], begun => ['done', 'deleted'],
        done => ['deleted'], resolved => ['deleted'], deleted => [],
    }},
}}, __maps__ => {{
    'default -> changes' => {{
        new => 'new', open => 'begun', stalled => 'begun', resolved => 'done',
        rejected => 'done', deleted => 'deleted',
    }},
}});
$RT::MasonDataDir = '{folder}/mason';
$RT::MasonSessionDir = '{folder}/sessions';
$RT::VarPath = '{folder}/var';
1;
"""


@dataclass(frozen=True)
class RequestTracker:
    """A Request Tracker at `url`, whose database is `folder`/rt.sqlite.

    Queues: Support and Elsewhere, where forewarn has the rights it needs; Changes with a strict
    workflow; Secret, where it has none. People: ana and ben, of the staff. `tokens` by user.
    """

    url: str
    folder: Path
    tokens: dict[str, str]

    def call(
        self, user: str, method: str, path: str, body: Any = None, type_: str = "application/json"
    ) -> Answer:
        """What a person does by the REST API."""
        headers = {"Authorization": f"token {self.tokens[user]}", "Content-Type": type_}
        data = None if body is None else json.dumps(body).encode()
        return call(f"{self.url}/REST/2.0{path}", data, headers, method, timeout=30)

    def ticket(self, ref: str) -> dict[str, Any]:
        """A ticket as the root user sees it."""
        answer = self.call("root", "GET", f"/ticket/{ref}")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What its database has."""
        database = sqlite3.connect(f"file:{self.folder / 'rt.sqlite'}?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()


@contextmanager
def running_request_tracker(folder: Path) -> Iterator[RequestTracker]:
    """A new Request Tracker with its data in `folder`; it takes about 4 s to come up."""
    setup, perl = program("rt-setup-database-5"), program("perl")
    for name in ("mason", "sessions", "var", "etc"):
        (folder / name).mkdir(parents=True)
    port = free_port()
    (folder / "RT_SiteConfig.pm").write_text(_CONFIG.format(port=port, folder=folder))
    env = {
        "RT_SITE_CONFIG": str(folder / "RT_SiteConfig.pm"),
        "RT_SITE_CONFIG_DIR": str(folder / "etc"),
        "FOREWARN_TOKENS": str(folder / "tokens.json"),
    }
    prepare = functools.partial(_prepare, setup, env)
    prepare("--action", "init", "--skip-create")
    prepare("--action", "insert", "--datafile", str(_DATA))
    url = f"http://127.0.0.1:{port}"
    command = [perl, _SERVER, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--server", "Starlet", "--max-workers", "3"]
    with running(command, folder / "rt.log", env, cwd=folder) as process:

        def ready() -> bool:
            assert process.poll() is None, (folder / "rt.log").read_text()
            return answers(f"{url}/NoAuth/css/elevator-light/main.css")

        wait_until("Request Tracker answers", ready, 180)
        yield RequestTracker(url, folder, json.loads((folder / "tokens.json").read_text()))


def _prepare(setup: str, env: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [setup, *arguments],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
