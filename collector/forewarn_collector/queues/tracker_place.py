"""Where a tracker is, and the token for it: the settings that all trackers over HTTP share.

url: https://tickets.example.org    as people have it in their browser, without the path of an API
token_file: PATH                    or `token: env:VARIABLE`
ca_file: PATH                       certificate authorities (PEM) in place of the system's
timeout: 20s                        for the whole of one request
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from forewarn_collector.config_urls import http_url, is_loopback
from forewarn_collector.queues.base import read_secret, read_timeout
from forewarn_collector.queues.tracker_http import TrackerAccess
from forewarn_wire.document import Section
from forewarn_wire.readers import text

_TIMEOUT = 20_000


@dataclass(frozen=True, slots=True)
class Place:
    """See the module's text. `url` has no slash at its end; `timeout` in ms."""

    url: str
    token: str
    timeout: int
    tls: ssl.SSLContext | None

    def access(
        self, base: str, headers: Mapping[str, str], secrets: tuple[str, ...] = ()
    ) -> TrackerAccess:
        """How to speak to the API at `base`; `secrets` are other forms of the token."""
        return TrackerAccess(
            base=base,
            headers=headers,
            secrets=(self.token, *secrets),
            timeout=self.timeout,
            tls=self.tls,
        )


def read_place(
    section: Section, environ: Mapping[str, str], url: str = "", called: str = "token"
) -> Place | None:
    """Read them; None where that is impossible, with the problems reported.

    `url` stands in where none is given; without it the setting is required. `called` is the
    name of its token in the configuration.
    """
    before = len(section.problems)
    found = section.take("url", _url, url) if url else section.require("url", _url, "")
    token = read_secret(section, called, environ).decode("utf-8", "replace").strip()
    place = Place(
        url=found,
        token=token,
        timeout=section.take("timeout", read_timeout, _TIMEOUT),
        tls=section.take("ca_file", _authorities, None),
    )
    if len(section.problems) == before:
        if not token:
            hint = f"{called}_file: PATH, or {called}: env:VARIABLE"
            section.problem("", f"{called}_file is missing", hint)
        elif called != "password" and not _is_one_word(token):
            said = f"the {called} has a character that none has, or more than one line"
            section.problem(f"{called}_file", said, "keep in it what the tracker showed, no more")
        if urlsplit(found).scheme == "http" and not is_loopback(urlsplit(found).hostname or ""):
            section.problem("url", f"the {called} would travel in the clear", "use https")
    return place if len(section.problems) == before else None


def _is_one_word(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


def _url(value: Any) -> str:
    url = http_url(value)
    parts = urlsplit(url)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("expected an address without a name, a query or a fragment in it")
    return url.rstrip("/")


def _authorities(value: Any) -> ssl.SSLContext:
    path = text(value)
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError(f"{path} can't be used: {error}; give a file in PEM format") from error
