"""Reads what of an alertmanager.yml is templates: files, and the texts of e-mails."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forewarn_collector.silencing.configuration import TemplateFile, TemplateText
from forewarn_collector.silencing.reading_fields import Notes
from forewarn_wire.document import Section
from forewarn_wire.readers import text, texts

_OWN_HEADERS = frozenset(
    {
        "Auto-Submitted",
        "Content-Transfer-Encoding",
        "Content-Type",
        "Date",
        "In-Reply-To",
        "Message-Id",
        "Mime-Version",
        "References",
    }
)
"""By these a task is one thread, whoever reads it."""


def read_template_files(document: Section, notes: Notes) -> tuple[TemplateFile, ...]:
    """The files that `templates` names, from the folder of the configuration, each once."""
    none: tuple[str, ...] = ()
    found: dict[str, TemplateFile] = {}
    for pattern in document.take("templates", texts, none):
        paths = sorted(glob.glob(str(Path(document.file).parent / pattern)))
        if not paths:
            notes.add(
                document, "templates", f"{pattern} matches no file", "there is nothing to add"
            )
        for path in paths:
            try:
                found[path] = TemplateFile(path, Path(path).read_text("utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not text"
                document.problem("templates", f"{path} can't be read: {reason}")
    return tuple(found.values())


def read_template(section: Section, name: str) -> TemplateText | None:
    """The template in a field, None where the field is not there."""
    if name not in section:
        return None
    return TemplateText(section.take(name, text, ""), *section.place(name))


def read_headers(section: Section, notes: Notes) -> dict[str, TemplateText]:
    """The headers of an e-mail by their names as they are written in messages."""
    nothing: Mapping[str, str] = {}
    given = section.take("headers", _headers, nothing)
    found: dict[str, TemplateText] = {}
    for written, value in given.items():
        name = "-".join(part.capitalize() for part in written.split("-"))
        if name in found:
            section.problem("headers", f'duplicate header "{name}" in email config')
        if name in _OWN_HEADERS:
            instead = "a task is one thread by Forewarn's own"
            notes.add(section, "headers", f"the header {name} is not taken", instead)
            continue
        found[name] = TemplateText(value, *section.place("headers"))
    return found


def _headers(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping of headers to texts, found {value!r}")
    for name in value:
        if not isinstance(name, str) or not _is_header(name):
            raise ValueError(f"not the name of a header: {name!r}")
    return {name: text(given) for name, given in value.items()}


def _is_header(name: str) -> bool:
    return bool(name) and all("!" <= letter <= "~" and letter != ":" for letter in name)
