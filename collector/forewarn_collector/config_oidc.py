"""`oidc:` of collector.yml: an OpenID Connect provider by which people sign in on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from forewarn_collector.config_files import optional_file
from forewarn_collector.config_tokens import Role
from forewarn_collector.config_urls import http_url
from forewarn_wire.document import Section
from forewarn_wire.readers import text, text_mapping, texts

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """The provider, and what it says of people that matters here.

    `roles` are by values of the claim `roles_claim`, which may be a path such as
    `realm_access.roles`; of several the one that may do most counts. With `customer_claim` people
    see the customer that it names, or all where it is `*`; who has no such claim is not let in.
    """

    issuer: str
    client_id: str
    roles: Mapping[str, Role]
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    roles_claim: str = "groups"
    customer_claim: str = ""


def read_oidc(document: Section) -> OidcConfig | None:
    """Read the section; problems are noted there. None: people sign in by token only."""
    section = document.section("oidc")
    if section is None:
        return None
    known = OidcConfig("", "", {})
    config = OidcConfig(
        issuer=section.require("issuer", _issuer, ""),
        client_id=section.require("client_id", text, ""),
        roles=section.require("roles", _roles, {}),
        client_secret_file=optional_file(section, "client_secret_file"),
        scopes=section.take("scopes", _scopes, known.scopes),
        roles_claim=section.take("roles_claim", text, known.roles_claim),
        customer_claim=section.take("customer_claim", text, known.customer_claim),
    )
    section.refuse_unknown()
    return config


def _issuer(value: Any) -> str:
    url = http_url(value)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ValueError(f"expected an address of https, found {url}: who answers must be certain")
    if parts.query or parts.fragment:
        raise ValueError("expected an address without ? and #")
    return url


def _roles(value: Any) -> dict[str, Role]:
    known = {role.value: role for role in Role if role is not Role.AGENT}
    found = text_mapping(value)
    for role in found.values():
        if role not in known:
            raise ValueError(
                f"expected roles by values of the claim, each one of {', '.join(known)};"
                f" found {role!r}"
            )
    if not found:
        raise ValueError("expected at least one, as in {ops: operator}: nobody could sign in")
    return {value: known[role] for value, role in found.items()}


def _scopes(value: Any) -> tuple[str, ...]:
    found = texts(value)
    return found if "openid" in found else ("openid", *found)
