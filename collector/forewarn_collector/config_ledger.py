"""`ledger:` of collector.yml: a PostgreSQL database in place of the file in the data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from forewarn_collector.config_files import optional_file
from forewarn_wire.document import Section
from forewarn_wire.readers import text

_DRIVER = "postgresql+psycopg"
_NAMES = frozenset({"postgres", "postgresql", _DRIVER})
_SAMPLE = "postgresql://forewarn@db.example.org/forewarn"


def ledger_url(value: Any) -> URL:
    """A URL of a PostgreSQL database. Raises ValueError, which never shows a password."""
    try:
        url = make_url(text(value))
    except (ArgumentError, ValueError):
        raise ValueError(f"expected a URL such as {_SAMPLE}") from None
    if url.drivername not in _NAMES:
        raise ValueError(f"expected a URL such as {_SAMPLE}, found one of {url.drivername}")
    if not url.database:
        raise ValueError(f"the URL names no database; expected one such as {_SAMPLE}")
    return url.set(drivername=_DRIVER)


def read_ledger(document: Section) -> URL | None:
    """Read the section; problems are noted there. None: a file in the data directory."""
    section = document.section("ledger")
    if section is None:
        return None
    url = section.require("url", ledger_url, None)
    file = optional_file(section, "password_file")
    section.refuse_unknown()
    if url is None:
        return None
    if url.password is not None:
        hint = "others may read this file: use password_file, PGPASSFILE or FOREWARN_LEDGER"
        section.problem("url", "url: a password stands in it", hint)
    return url if file is None else url.set(password=_password(file))


def _password(file: Path) -> str:
    return file.read_text("utf-8").strip()
