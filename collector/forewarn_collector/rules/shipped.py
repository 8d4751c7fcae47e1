"""Where the rules that ship are, whether Forewarn was installed or runs from its sources."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_rules_dir() -> Path:
    """The folder of the rules that ship: within the installed package, or the repository's `rules`.

    Raises FileNotFoundError if neither is there, which means a broken installation.
    """
    # A wheel holds a copy; an editable install does not, and reads the sources.
    for folder in (_PACKAGE / "shipped_rules", _PACKAGE.parents[1] / "rules"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        "the rules that ship with forewarn are missing; install it again, or name rules by --rules"
    )
