"""A real IMAP server for tests: Dovecot on a loopback port, with mailboxes of its own."""

from __future__ import annotations

import contextlib
import imaplib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.servers import free_port, stop
from support.waiting import wait_until

_PROGRAM = shutil.which("dovecot", path="/usr/sbin:/usr/bin:/usr/local/sbin")
PASSWORD = "hunter2-imap"
_SETTINGS = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal}
default_login_user = {login}
mail_location = maildir:{folder}/mail
first_valid_uid = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
"""


@dataclass
class ImapServer:
    """A server with one mailbox, for whatever user name."""

    port: int

    def client(self) -> imaplib.IMAP4:
        """A connection that has signed in."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        client.login("forewarn", PASSWORD)
        return client

    def put(self, content: bytes) -> None:
        """A mail arrives."""
        with contextlib.closing(_Session(self.client())) as session:
            session.client.append("INBOX", "", "", content.replace(b"\n", b"\r\n"))

    def unread(self) -> int:
        """How many mails are not read."""
        with contextlib.closing(_Session(self.client())) as session:
            session.client.select("INBOX", readonly=True)
            _, found = session.client.search(None, "UNSEEN")
            return len(found[0].split())


@dataclass
class _Session:
    client: imaplib.IMAP4

    def close(self) -> None:
        self.client.logout()


@contextmanager
def imap_server() -> Iterator[ImapServer]:
    """A server on a free port; CI fails where it is not installed."""
    if _PROGRAM is None:
        if os.environ.get("CI"):
            pytest.fail("dovecot-imapd is not installed; .ci/run installs what the tests need")
        pytest.skip("dovecot-imapd is not installed (Debian has it)")
    if os.geteuid() != 0:
        pytest.skip("Dovecot as it is packaged needs to be started by root")
    folder = Path(tempfile.mkdtemp(prefix="forewarn-dovecot-"))
    folder.chmod(0o755)
    for name in ("mail", "home"):
        (folder / name).mkdir()
        shutil.chown(folder / name, "nobody", "nogroup")
    server = ImapServer(free_port())
    (folder / "dovecot.conf").write_text(
        _SETTINGS.format(
            folder=folder,
            port=server.port,
            internal="root",
            login="dovenull",
            user="nobody",
            group="nogroup",
            password=PASSWORD,
        )
    )
    process = subprocess.Popen(
        [_PROGRAM, "-F", "-c", folder / "dovecot.conf"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("Dovecot answers", lambda: _answers(server))
        yield server
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(server: ImapServer) -> bool:
    with contextlib.suppress(OSError, imaplib.IMAP4.error):
        server.unread()
        return True
    return False
