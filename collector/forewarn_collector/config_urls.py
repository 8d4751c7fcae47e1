"""Addresses of servers that a configuration names."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from forewarn_wire.readers import text


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address without brackets, is this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def http_url(value: Any) -> str:
    """An address of http or https. Raises ValueError, which does not show it: it may be secret."""
    url = text(value)
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("expected an address such as https://tickets.example.org/hook")
    return url
