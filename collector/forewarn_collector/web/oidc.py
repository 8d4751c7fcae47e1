"""OpenID Connect, the side of a client: the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 (3.1), Discovery 1.0, RFC 7636 (PKCE, S256), RFC 9207 (`iss` in the
answer). Signatures are checked by joserfc, with keys that the provider publishes.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from forewarn_collector.config_oidc import OidcConfig
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

# Signatures by keys that only the provider has: never `none`, nor a secret that we share.
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}) | {
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
}
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_LEEWAY = 60
"""Seconds by which clocks may differ."""
_FRESH = 3_600_000
"""How long (ms) what the provider publishes is taken as it was."""

Claims = Mapping[str, Any]


class OidcError(Exception):
    """A sign-in that did not work; the text is for the person, and says whose fault it is."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that has begun: what binds the provider's answer to it."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class _Published:
    """What the provider publishes of itself, and when (ms) it was read."""

    document: Mapping[str, Any]
    keys: KeySet
    read_at: int

    def endpoint(self, name: str) -> str:
        """The address of an endpoint. Raises OidcError."""
        found = self.document.get(name)
        if not isinstance(found, str):
            raise OidcError(f"The provider publishes no {name}.")
        return found


class Provider:
    """The provider. Used on the event loop; `close` ends its connections."""

    def __init__(self, config: OidcConfig, secret: str, clock: Clock) -> None:
        self.config = config
        self._secret = secret
        self._clock = clock
        self._published: _Published | None = None
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End its connections."""
        if self._session is not None:
            await self._session.close()

    async def begin(self, redirect_uri: str) -> tuple[SignIn, str]:
        """A new sign-in, and the provider's address for it. Raises OidcError."""
        sign_in = SignIn(*(secrets.token_urlsafe(32) for _ in range(3)))
        digest = hashlib.sha256(sign_in.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.config.scopes),
            "state": sign_in.state,
            "nonce": sign_in.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = (await self._known()).endpoint("authorization_endpoint")
        return sign_in, f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def finish(self, sign_in: SignIn, answer: Mapping[str, str], redirect_uri: str) -> Claims:
        """What the provider says of whoever has signed in there. Raises OidcError."""
        if not secrets.compare_digest(answer.get("state", "").encode(), sign_in.state.encode()):
            raise OidcError("This is the answer to another sign-in; begin again.")
        if answer.get("iss", self.config.issuer) != self.config.issuer:
            raise OidcError("The answer is from another provider.")
        if "error" in answer:
            said = answer.get("error_description") or answer["error"]
            raise OidcError(f"The provider did not let you in: {said:.200}")
        tokens = await self._tokens(sign_in, answer.get("code", ""), redirect_uri)
        claims = await self._verified(tokens.get("id_token"), sign_in.nonce)
        wanted = (self.config.roles_claim, self.config.customer_claim)
        if any(name and claim_of(claims, name) is None for name in wanted):
            claims = {**await self._user_info(tokens, claims), **claims}
        return claims

    async def _tokens(self, sign_in: SignIn, code: str, redirect_uri: str) -> Mapping[str, Any]:
        published = await self._known()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": sign_in.verifier,
        }
        headers = {"Accept": "application/json"}
        methods = published.document.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        )
        if self._secret and "client_secret_basic" in methods:
            # Each part is encoded as in a form first (RFC 6749, 2.3.1).
            pair = f"{quote_plus(self.config.client_id)}:{quote_plus(self._secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self.config.client_id
            if self._secret:
                form["client_secret"] = self._secret
        return await self._ask("POST", published.endpoint("token_endpoint"), headers, form)

    async def _verified(self, token: object, nonce: str) -> Claims:
        """The claims of an ID token (Core 3.1.3.7). Raises OidcError."""
        if not isinstance(token, str):
            raise OidcError("The provider gave no ID token; is `openid` among its scopes?")
        try:
            claims = (await self._decoded(token)).claims
            jwt.JWTClaimsRegistry(
                now=self._clock() // 1000,
                leeway=_LEEWAY,
                iss={"essential": True, "value": self.config.issuer},
                aud={"essential": True, "value": self.config.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise OidcError(f"The provider's ID token is not good: {error}") from error
        # Of several audiences it must say for whom it was made.
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        client = self.config.client_id
        if claims.get("azp", "" if several else client) != client:
            raise OidcError("The provider's ID token was made for another client.")
        return dict(claims)

    async def _decoded(self, token: str) -> jwt.Token:
        published = await self._known()
        try:
            return jwt.decode(token, published.keys, algorithms=list(_ALGORITHMS))
        except (JoseError, ValueError):
            # The provider may have new keys; that is asked once, and not for every bad token.
            if self._clock() - published.read_at < _LEEWAY * 1000:
                raise
            self._published = None
            return jwt.decode(token, (await self._known()).keys, algorithms=list(_ALGORITHMS))

    async def _user_info(self, tokens: Mapping[str, Any], claims: Claims) -> Claims:
        """What an ID token had no room for; nothing where the provider tells no more."""
        address = (await self._known()).document.get("userinfo_endpoint")
        token = tokens.get("access_token")
        if not isinstance(address, str) or not isinstance(token, str):
            return {}
        found = await self._ask("GET", address, {"Authorization": f"Bearer {token}"})
        if found.get("sub") != claims["sub"]:
            raise OidcError("The provider tells of somebody else than has signed in.")
        return found

    async def _known(self) -> _Published:
        now = self._clock()
        if self._published is None or not 0 <= now - self._published.read_at < _FRESH:
            address = f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration"
            document = await self._ask("GET", address)
            if document.get("issuer") != self.config.issuer:
                raise OidcError(
                    f"The provider at {address} calls itself {document.get('issuer')!r:.200};"
                    f" `issuer` of the configuration must be just that."
                )
            found = await self._ask("GET", str(document.get("jwks_uri")))
            try:
                keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise OidcError(f"The provider's keys can't be read: {error}") from error
            self._published = _Published(document, keys, now)
        return self._published

    async def _ask(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.request(
                method, address, headers=headers, data=form, allow_redirects=False
            ) as answer:
                found = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("OpenID Connect: %s %s: %r", method, address, error)
            raise OidcError(f"The provider does not answer as it should ({address}).") from error
        if status != 200 or not isinstance(found, dict):
            said = (
                found.get("error_description") or found.get("error")
                if isinstance(found, dict)
                else ""
            )
            log.warning("OpenID Connect: %s %s: %d %s", method, address, status, said)
            raise OidcError(f"The provider refuses ({status}): {said or address!s:.200}")
        return found


def claim_of(claims: Claims, path: str) -> Any:
    """A claim by its name, or by a path of names with dots; None where there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
