"""Which alerts something of the configuration is about: those with these labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import re2


@dataclass(frozen=True)
class Selection:
    """Labels that must be equal, and those that must match a regex whole; empty: every alert.

    An absent label is the empty string, as everywhere. Raises ValueError for a bad regex.
    """

    equal: Mapping[str, str] = field(default_factory=dict)
    regex: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        compiled: dict[str, Any] = {}
        options = re2.Options()
        options.log_errors = False
        for name, pattern in self.regex.items():
            try:
                compiled[name] = re2.compile(pattern, options)
            except re2.error as error:
                raise ValueError(f"{name}: not a regex: {pattern!r}") from error
        object.__setattr__(self, "_compiled", compiled)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant."""
        compiled: Mapping[str, Any] = self._compiled  # type: ignore[attr-defined]
        return all(labels.get(name, "") == value for name, value in self.equal.items()) and all(
            regex.fullmatch(labels.get(name, "")) is not None for name, regex in compiled.items()
        )

    def __str__(self) -> str:
        parts = [f'{name}="{value}"' for name, value in self.equal.items()]
        parts += [f'{name}=~"{pattern}"' for name, pattern in self.regex.items()]
        return "{" + ", ".join(parts) + "}"
