"""What a collector needs at its start: its directory and databases, who may do what, TLS."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from forewarn_collector.api.auth import TOKEN_FILE, Gate, TokenError, callers_from, own_token
from forewarn_collector.api.sessions import Sessions
from forewarn_collector.config import CollectorConfig
from forewarn_collector.config_oidc import OidcConfig
from forewarn_collector.store import Store, StoreError
from forewarn_collector.tasks import Ledger, LedgerError
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)


class StartError(Exception):
    """The collector can't start; the text says why and what to do."""


def make_data_directory(data: Path) -> None:
    """Make the data directory where there is none. Raises StartError."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"cannot make the data directory {data}: {error.strerror}; --data chooses another"
        ) from error


def open_databases(store: Store, ledger: Ledger) -> None:
    """Open both, or neither. Raises StartError."""
    try:
        store.open()
    except StoreError as error:
        raise StartError(str(error)) from error
    try:
        ledger.open()
    except LedgerError as error:
        store.close()
        raise StartError(str(error)) from error


def gate_of(config: CollectorConfig, clock: Clock) -> Gate:
    """Who may do what, by the tokens given. Raises StartError."""
    listen = config.listen
    secure = config.tls is not None or config.external_url.startswith("https:")
    sessions = Sessions(clock, secure=secure)
    if not config.auth:
        if not listen.is_loopback:
            raise StartError(f"--no-auth works on a loopback address only, not on {listen}")
        return Gate({}, sessions, auth=False, open_reads=True)
    try:
        callers = callers_from(own_token(config.data), config.tokens)
    except (TokenError, OSError) as error:
        raise StartError(str(error)) from error
    log.info("the token for writes is in %s", config.data / TOKEN_FILE)
    # Behind a proxy on this machine a customer could read all by leaving its token out.
    shared = any(token.reads_for_customer for token in config.tokens)
    # And whoever has people sign in means all of them.
    open_reads = listen.is_loopback and not shared and config.oidc is None
    return Gate(callers, sessions, auth=True, open_reads=open_reads)


def oidc_of(config: CollectorConfig) -> tuple[OidcConfig, str] | None:
    """The provider by which people sign in, with our secret there. Raises StartError."""
    if config.oidc is None:
        return None
    file = config.oidc.client_secret_file
    try:
        secret = file.read_text("utf-8").strip() if file is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read the client secret {file}: {error}") from error
    return config.oidc, secret


def ssl_context_of(config: CollectorConfig) -> ssl.SSLContext | None:
    """The certificate to show, if one is given. Raises StartError."""
    if config.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls.cert, config.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"cannot use the tls certificate or key: {error}") from error
    return context
