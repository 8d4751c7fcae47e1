"""A small OpenID Connect provider with real RSA keys, on a free loopback port.

It does what Core 1.0 asks of one for the authorization code flow with PKCE, and refuses what it has
to; `lie` makes its next ID tokens bad in one way each.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "forewarn-test", "a secret: of+the %client"

Claims = dict[str, Any]


@dataclass
class OidcProvider:
    """The provider, the people that it knows, and what it was asked."""

    port: int = 0
    people: dict[str, Claims] = field(default_factory=dict)
    lie: Callable[[Claims], Claims] | None = None
    in_token: bool = True
    """Whether claims stand in the ID token; otherwise only `userinfo` tells them."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = _usual_key()
        self.published = [self.key]

    @property
    def issuer(self) -> str:
        """Its name, which is its address."""
        return f"http://127.0.0.1:{self.port}/realm"

    def document(self) -> dict[str, Any]:
        """What it publishes of itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def allow(self, query: dict[str, str], name: str) -> str:
        """The address that somebody is sent to who has signed in here."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = {**query, "name": name}
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The tokens for a code, once and for the client that has the verifier."""
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, _, secret = pair.partition(":")
        if (unquote_plus(client), unquote_plus(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        known = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            known is None
            or form.get("grant_type") != "authorization_code"
            or known["redirect_uri"] != form.get("redirect_uri")
            or known["code_challenge"] != challenge
        ):
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe(16)
        self.tokens[access] = known["name"]
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 300}
        return 200, {**answer, "id_token": self.id_token(known["name"], known["nonce"])}

    def id_token(self, name: str, nonce: str) -> str:
        """A signed ID token."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": f"id-of-{name}",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            **(self.people[name] if self.in_token else {}),
        }
        if self.lie is not None:
            claims = self.lie(claims)
        header = {"alg": "RS256", "kid": self.key.kid}
        return jwt.encode(header, claims, self.key)

    def userinfo(self, authorization: str) -> tuple[int, dict[str, Any]]:
        """What it tells of whoever a token is of."""
        name = self.tokens.get(authorization.removeprefix("Bearer "))
        if name is None:
            return 401, {"error": "invalid_token"}
        return 200, {"sub": f"id-of-{name}", **self.people[name]}


def new_key() -> RSAKey:
    """A key with an id of its own."""
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})


# Making one takes a while.
_usual_key = functools.cache(new_key)


@contextmanager
def oidc_provider(**people: Claims) -> Iterator[OidcProvider]:
    """A provider that knows these people, by name."""
    provider = OidcProvider(people=people)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            query = {name: value[0] for name, value in parse_qs(parts.query).items()}
            match parts.path.removeprefix("/realm"):
                case "/.well-known/openid-configuration":
                    self._json(200, provider.document())
                case "/keys":
                    self._json(200, dict(KeySet(provider.published).as_dict(private=False)))
                case "/authorize" if "name" in query:
                    name = query.pop("name")
                    self.send_response(302)
                    self.send_header("Location", provider.allow(query, name))
                    self.end_headers()
                case "/authorize":
                    self._choose(query)
                case "/userinfo":
                    self._json(*provider.userinfo(self.headers.get("Authorization", "")))
                case _:
                    self._json(404, {"error": "not_found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            authorization = self.headers.get("Authorization", "")
            self._json(*provider.exchange(dict(parse_qsl(body)), authorization))

        def _choose(self, query: dict[str, str]) -> None:
            links = "".join(
                f'<p><a href="?{html.escape(urlencode({**query, "name": name}))}">{name}</a></p>'
                for name in provider.people
            )
            head = "<!doctype html><html lang=en><link rel=icon href=data:,><title>Who?</title>"
            self._send(200, "text/html", f"{head}{links}".encode())

        def _json(self, status: int, document: dict[str, Any]) -> None:
            self._send(status, "application/json", json.dumps(document).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
