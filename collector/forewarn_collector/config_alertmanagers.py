"""`alertmanagers:` and `external_labels:` of collector.yml, in the words of Prometheus' file."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from forewarn_collector.config_files import optional_file, required_file
from forewarn_wire import labels_from
from forewarn_wire.document import Section
from forewarn_wire.labels import Labels, is_label_name
from forewarn_wire.readers import duration, text, text_mapping

TIMEOUT = 10_000
RESEND_DELAY = 60_000


@dataclass(frozen=True, slots=True)
class Authorization:
    """What goes into the header `Authorization`; the secret stays in its file.

    With a `username` it is basic authentication, else the `scheme` and the secret.
    """

    file: Path
    scheme: str = "Bearer"
    username: str = ""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: whom to trust, where not the system's authorities, and who we are."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises OSError; ssl.SSLError is one."""
        found = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            found.load_cert_chain(self.cert, self.key)
        return found


@dataclass(frozen=True, slots=True)
class AlertmanagerConfig:
    """An Alertmanager that is sent every alert. `url` has no slash at its end, timeout is in ms."""

    url: str
    timeout: int = TIMEOUT
    authorization: Authorization | None = None
    tls: TlsFiles | None = None

    @property
    def endpoint(self) -> str:
        """Where alerts are posted."""
        return f"{self.url}/api/v2/alerts"


def read_alertmanagers(document: Section) -> tuple[AlertmanagerConfig, ...]:
    """The list under `alertmanagers:`; what is wrong goes to `document.problems`."""
    found = tuple(_alertmanager(section) for section in document.sections("alertmanagers"))
    for url, count in Counter(each.url for each in found if each.url).items():
        if count > 1:
            document.problem("alertmanagers", f"{url} is given {count} times", "keep one of them")
    return found


def read_external_labels(value: Any) -> Labels:
    """Names and values of labels. Raises ValueError."""
    found = text_mapping(value)
    for name in found:
        if not is_label_name(name) or name.startswith("__"):
            raise ValueError(f"expected names of labels such as site, found {name!r}")
    return labels_from(found)


def secret_in(path: Path) -> str:
    """A token or password in a file, one line. Raises ValueError, which does not show it."""
    try:
        secret = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; put the secret into it, on one line") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    if not secret.isprintable() or not secret:
        raise ValueError(f"{path} must hold the secret on one line, and nothing else")
    return secret


def _alertmanager(section: Section) -> AlertmanagerConfig:
    found = AlertmanagerConfig(
        url=section.require("url", _url, ""),
        timeout=section.take("timeout", _timeout, TIMEOUT),
        authorization=_authorization(section),
        tls=_tls(section.section("tls_config")),
    )
    section.refuse_unknown()
    return found


def _url(value: Any) -> str:
    url = text(value).rstrip("/")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise ValueError("expected an address such as http://127.0.0.1:9093")
    if parts.username is not None or parts.password is not None:
        # Not shown: it may hold the password.
        raise ValueError("no user and password here; use basic_auth with a password_file")
    return url.removesuffix("/api/v2/alerts")


def _username(value: Any) -> str:
    name = text(value)
    if not name.isprintable() or not name or ":" in name:
        raise ValueError(f"expected a name without a colon, found {value!r}")
    return name


def _timeout(value: Any) -> int:
    milliseconds = duration(value)
    if not 100 <= milliseconds <= 300_000:
        raise ValueError(f"expected between 100ms and 5m, found {value!r}")
    return milliseconds


def _authorization(section: Section) -> Authorization | None:
    bearer, basic = section.section("authorization"), section.section("basic_auth")
    found: Authorization | None = None
    if bearer is not None:
        scheme = bearer.take("type", text, "Bearer")
        found = Authorization(_secret_file(bearer, "credentials_file"), scheme)
        bearer.refuse_unknown()
    if basic is not None:
        username = basic.require("username", _username, "")
        found = Authorization(_secret_file(basic, "password_file"), username=username)
        basic.refuse_unknown()
    if bearer is not None and basic is not None:
        section.problem("basic_auth", "authorization is given, too", "keep one of them")
    return found


def _secret_file(section: Section, name: str) -> Path:
    before = len(section.problems)
    path = required_file(section, name)
    if len(section.problems) == before:
        try:
            secret_in(path)
        except ValueError as error:
            section.problem(name, f"{name}: {error}")
    return path


def _tls(section: Section | None) -> TlsFiles | None:
    if section is None:
        return None
    before = len(section.problems)
    files = TlsFiles(
        *(optional_file(section, name) for name in ("ca_file", "cert_file", "key_file"))
    )
    section.refuse_unknown()
    if files.key is not None and files.cert is None:
        section.problem("key_file", "key_file needs a cert_file", "name the certificate, too")
    if len(section.problems) == before:
        _check_pem(section, files)
    return files


def _check_pem(section: Section, files: TlsFiles) -> None:
    """Each by itself, so that the mistake has its place."""
    checks: Sequence[tuple[str, TlsFiles]] = (
        ("ca_file", TlsFiles(ca=files.ca)),
        ("cert_file", TlsFiles(cert=files.cert, key=files.key)),
    )
    for name, part in checks:
        try:
            part.context()
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or error
            section.problem(name, f"{name}: not usable: {reason}", "give PEM files that match")
