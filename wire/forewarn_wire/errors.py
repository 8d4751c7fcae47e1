"""Errors that name the place and the remedy."""

from __future__ import annotations

from typing import NamedTuple


class WireError(ValueError):
    """Data on the wire that cannot be what it claims to be; sending it again will not help."""


# A named tuple, as all that the agent loads: the module dataclasses takes 1 MB of memory.
class Problem(NamedTuple):
    """One thing wrong in a file a person wrote: where it stands, what it is, how to mend it.

    `line` and `column` count from 1; 0 means that the place is the whole file.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.message}{hint}"
