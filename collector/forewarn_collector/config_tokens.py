"""The tokens of collector.yml: who has them, in which role, and for which customer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from forewarn_collector.config_files import required_file
from forewarn_wire.document import Section
from forewarn_wire.readers import text


class Role(StrEnum):
    """What the bearer of a token may do."""

    AGENT = "agent"
    """Write signals, and nothing else."""
    VIEWER = "viewer"
    """Read."""
    OPERATOR = "operator"
    """Read, handle tasks, silence."""
    ADMIN = "admin"
    """Everything, the audit log and the queues among it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token from the configuration: a file that holds it, its role, and its customer if any."""

    name: str
    file: Path
    customer: str = ""
    role: Role = Role.ADMIN

    @property
    def reads_for_customer(self) -> bool:
        """Whether its bearer may see what is of one customer, and of no other."""
        return bool(self.customer) and self.role is not Role.AGENT


def read_tokens(document: Section) -> tuple[Token, ...]:
    """The tokens under `tokens`; what is wrong with each goes to the document's problems."""
    return tuple(_token(section) for section in document.sections("tokens"))


def _token(section: Section) -> Token:
    customer = section.take("customer", text, "")
    # As it was before there were roles.
    default = Role.AGENT if customer else Role.ADMIN
    token = Token(
        name=section.require("name", text, ""),
        file=required_file(section, "token_file"),
        customer=customer,
        role=section.take("role", _role, default),
    )
    if customer and token.role is Role.ADMIN:
        section.problem(
            "role",
            f"the token of {token.name} is an admin's and names a customer: an admin sees all",
            f"give it the role operator, or leave out customer: {customer}",
        )
    section.refuse_unknown()
    return token


def _role(value: Any) -> Role:
    given = text(value)
    try:
        return Role(given)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Role)}, found {given!r}") from None


def check_tokens(document: Section, tokens: Sequence[Token]) -> None:
    """Note as a problem that tokens share a name."""
    for name, count in Counter(token.name for token in tokens).items():
        if count > 1:
            document.problem("tokens", f"{count} tokens are named {name}", "give each its own name")
