"""How the collector serves https."""

from __future__ import annotations

import ssl

from forewarn_collector.config import CollectorConfig


class TlsError(Exception):
    """The certificate or its key can't be used; the text says why."""


def tls_of(config: CollectorConfig) -> ssl.SSLContext | None:
    """The context that a configuration asks for; None for plain http. Raises TlsError."""
    if config.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls.cert, config.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use the tls certificate or key: {error}") from error
    return context
