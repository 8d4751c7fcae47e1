"""Who sends a request, and where a handler finds that."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from forewarn_collector.config_tokens import Role

ANYONE = "anyone"
"""The name of a caller of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the token's name, its role, its customer ("" for all of them).

    `person` is who they said they are when they signed in on the page, or whom an identity
    provider named.
    """

    name: str
    customer: str = ""
    role: Role = Role.ADMIN
    person: str = ""

    @property
    def told(self) -> str:
        """How they are spoken of."""
        return self.person or f"the token {self.name}"


CALLER = web.RequestKey("caller", Caller)
