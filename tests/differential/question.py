"""A question to a server: an expression and its times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """An expression and when it is asked, in seconds after the dataset's start.

    `step` is 0 for an instant query, at `start`.
    """

    text: str
    start: int
    end: int
    step: int

    def expression(self, start: int) -> str:
        """The text with times of `@` told from the dataset's start (s since epoch)."""
        return re.sub(r"@ T\+(\d+)", lambda found: f"@ {start + int(found[1])}", self.text)

    def __str__(self) -> str:
        if not self.step:
            return f"{self.text}   at {self.start}s"
        return f"{self.text}   from {self.start}s to {self.end}s by {self.step}s"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it."""
        printer.text(str(self))
