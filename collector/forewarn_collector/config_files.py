"""Files that the configuration names: there and readable when it is read, or a problem says why."""

from __future__ import annotations

from pathlib import Path

from forewarn_wire.document import Section
from forewarn_wire.readers import text


def required_file(section: Section, name: str) -> Path:
    """A file that must be named, there and readable."""
    path = Path(section.require(name, text, ""))
    _check(section, name, path)
    return path


def optional_file(section: Section, name: str) -> Path | None:
    """A file that may be named; None where it is not."""
    given = section.take(name, text, "")
    if not given:
        return None
    _check(section, name, Path(given))
    return Path(given)


def _check(section: Section, name: str, path: Path) -> None:
    if path.name:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            section.problem(name, f"{name}: cannot read {path}: {error.strerror}")
