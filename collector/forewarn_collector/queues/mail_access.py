"""What the ways to a mail server have in common: a port and TLS."""

from __future__ import annotations

import ssl
from typing import Any

from forewarn_wire.document import Section
from forewarn_wire.readers import text, whole_number


def read_port(value: Any) -> int:
    """A TCP port. Raises ValueError."""
    port = whole_number(value)
    if not 1 <= port <= 65535:
        raise ValueError(f"expected a port from 1 to 65535, found {value!r}")
    return port


def read_tls(section: Section) -> ssl.SSLContext:
    """TLS that trusts `ca_file`, or whom the machine trusts."""
    path = section.take("ca_file", text, "")
    try:
        return ssl.create_default_context(cafile=path or None)
    except (OSError, ssl.SSLError) as error:
        section.problem("ca_file", f"{path} can't be used: {error}", "give a file in PEM format")
        return ssl.create_default_context()
