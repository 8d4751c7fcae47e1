"""Signing in by an OpenID Connect provider with real keys: what is taken, and what is refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from forewarn_collector.config import read_config
from forewarn_collector.config_oidc import OidcConfig
from forewarn_collector.config_tokens import Role
from forewarn_collector.web.oidc import OidcError, Provider, claim_of
from forewarn_collector.web.oidc_people import caller_for
from support.oidc_provider import CLIENT, SECRET, OidcProvider, new_key, oidc_provider

BACK = "http://127.0.0.1:9815/sign-in/oidc/back"
ANN = {"preferred_username": "ann", "groups": ["staff", "ops"]}


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(ann=ANN, bea={"email": "bea@example.org"}) as found:
        yield found


@pytest.fixture
def config(provider: OidcProvider) -> OidcConfig:
    return OidcConfig(provider.issuer, CLIENT, {"ops": Role.OPERATOR, "leads": Role.ADMIN})


class Clock:
    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return int(time.time() * 1000) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(config: OidcConfig, clock: Clock) -> AsyncIterator[Provider]:
    found = Provider(config, SECRET, clock)
    yield found
    await found.close()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def allowed(address: str, name: str = "ann") -> dict[str, str]:
    """What the provider answers to a browser whose person has signed in."""
    try:
        urllib.request.build_opener(_Stay).open(f"{address}&name={name}").close()
    except urllib.error.HTTPError as error:
        with error:
            return dict(parse_qsl(urlsplit(error.headers["Location"]).query))
    raise AssertionError("it leads nowhere")


async def sign_in(client: Provider, name: str = "ann") -> dict[str, Any]:
    begun, address = await client.begin(BACK)
    return dict(await client.finish(begun, allowed(address, name), BACK))


async def test_who_signs_in_is_known_with_what_is_said_of_them(client: Provider) -> None:
    claims = await sign_in(client)
    assert (claims["sub"], claims["groups"]) == ("id-of-ann", ["staff", "ops"])


async def test_claims_without_room_in_the_token_are_asked_for(
    client: Provider, provider: OidcProvider
) -> None:
    provider.in_token = False
    assert (await sign_in(client))["groups"] == ["staff", "ops"]
    assert "/realm/userinfo" in provider.asked


async def test_the_provider_is_read_once_for_many_sign_ins(
    client: Provider, provider: OidcProvider
) -> None:
    for _ in range(3):
        await sign_in(client)
    assert provider.asked.count("/realm/keys") == 1


async def test_new_keys_of_the_provider_are_found(
    client: Provider, provider: OidcProvider, clock: Clock
) -> None:
    await sign_in(client)
    provider.key = new_key()
    provider.published = [provider.key]
    with pytest.raises(OidcError, match="ID token is not good"):
        await sign_in(client)
    clock.ahead = 59_000
    assert provider.asked.count("/realm/keys") == 1, "a bad token is no reason to ask at once"
    clock.ahead = 61_000
    await sign_in(client)


@pytest.mark.parametrize(
    "lie",
    [
        lambda claims: {**claims, "aud": "another-client"},
        lambda claims: {**claims, "aud": [CLIENT, "another-client"], "azp": "another-client"},
        lambda claims: {**claims, "aud": [CLIENT, "another-client"]},
        lambda claims: {**claims, "iss": "https://evil.example"},
        lambda claims: {**claims, "nonce": "of another sign-in"},
        lambda claims: {**claims, "exp": int(time.time()) - 61},
        lambda claims: {**claims, "iat": int(time.time()) + 3600},
        lambda claims: {name: value for name, value in claims.items() if name != "sub"},
        lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    client: Provider, provider: OidcProvider, lie: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    provider.lie = lie
    with pytest.raises(OidcError, match="ID token"):
        await sign_in(client)


async def test_a_token_signed_by_another_key_is_refused(
    client: Provider, provider: OidcProvider
) -> None:
    other = new_key()
    provider.published = [other]
    with pytest.raises(OidcError, match="ID token is not good"):
        await sign_in(client)


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


@pytest.mark.parametrize("kind", ["none", "HS256"])
async def test_a_token_without_a_signature_of_the_providers_own_is_refused(
    client: Provider, provider: OidcProvider, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(name: str, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": provider.issuer, "sub": name, "aud": CLIENT, "exp": now + 60, "iat": now}
        claims["nonce"] = nonce
        head = {"alg": kind, "kid": provider.key.kid}
        signed = b".".join(_encoded(json.dumps(each).encode()) for each in (head, claims))
        # With HS256, signed by what everybody can read: the provider's public key.
        mac = hmac.digest(provider.key.as_pem(private=False), signed, "sha256")
        return (signed + b"." + (_encoded(mac) if kind == "HS256" else b"")).decode()

    monkeypatch.setattr(provider, "id_token", forged)
    with pytest.raises(OidcError, match="ID token is not good"):
        await sign_in(client)


async def test_an_answer_to_another_sign_in_is_refused(client: Provider) -> None:
    begun, address = await client.begin(BACK)
    answer = allowed(address)
    other, _ = await client.begin(BACK)
    with pytest.raises(OidcError, match="another sign-in"):
        await client.finish(other, answer, BACK)
    with pytest.raises(OidcError, match="another provider"):
        await client.finish(begun, {**answer, "iss": "https://evil.example"}, BACK)
    denied = {"state": begun.state, "error": "x", "error_description": "no such person"}
    with pytest.raises(OidcError, match="did not let you in: no such person"):
        await client.finish(begun, denied, BACK)
    await client.finish(begun, answer, BACK)
    with pytest.raises(OidcError, match=r"refuses .400.: invalid_grant"):
        await client.finish(begun, answer, BACK)


async def test_a_wrong_secret_is_told_as_what_it_is(config: OidcConfig, clock: Clock) -> None:
    client = Provider(config, "not the secret", clock)
    try:
        with pytest.raises(OidcError, match=r"refuses .401.: invalid_client"):
            await sign_in(client)
    finally:
        await client.close()


async def test_a_provider_that_is_not_there_or_another_is_told(
    provider: OidcProvider, clock: Clock
) -> None:
    nowhere = OidcConfig("http://127.0.0.1:9/realm", CLIENT, {"ops": Role.VIEWER})
    other = OidcConfig(f"{provider.issuer}/", CLIENT, {"ops": Role.VIEWER})
    for config, said in ((nowhere, "does not answer"), (other, "calls itself")):
        client = Provider(config, SECRET, clock)
        with pytest.raises(OidcError, match=said):
            await client.begin(BACK)
        await client.close()


def test_of_several_roles_the_one_that_may_do_most_counts(config: OidcConfig) -> None:
    said = {"sub": "1", "email": "ann@example.org", "groups": ["x", "ops", "leads"]}
    caller = caller_for(config, said)
    assert (caller.role, caller.person, caller.name) == (Role.ADMIN, "ann@example.org", "oidc 1")


@pytest.mark.parametrize("groups", [None, [], ["others"], "", 7, {"ops": True}, [["ops"]]])
def test_who_has_no_role_here_is_not_let_in(config: OidcConfig, groups: Any) -> None:
    with pytest.raises(OidcError, match=r"ann may not use this page.*groups"):
        caller_for(config, {"sub": "1", "preferred_username": "ann", "groups": groups})


@pytest.mark.parametrize(
    ("said", "customer"), [({"customer": "acme"}, "acme"), ({"customer": "*"}, "")]
)
def test_people_see_the_customer_that_the_provider_names(
    said: dict[str, str], customer: str
) -> None:
    config = OidcConfig("i", "c", {"ops": Role.OPERATOR}, customer_claim="customer")
    assert caller_for(config, {"sub": "1", "groups": "ops", **said}).customer == customer


@pytest.mark.parametrize("said", [{}, {"customer": ""}, {"customer": ["acme"]}])
def test_who_is_of_no_customer_is_not_let_in_where_customers_are_told_apart(
    said: dict[str, Any],
) -> None:
    config = OidcConfig("i", "c", {"ops": Role.OPERATOR}, customer_claim="customer")
    with pytest.raises(OidcError, match="of which customer"):
        caller_for(config, {"sub": "1", "groups": ["ops"], **said})


def test_a_claim_may_be_deep() -> None:
    claims = {"realm_access": {"roles": ["ops"]}, "a.b": 1}
    assert claim_of(claims, "realm_access.roles") == ["ops"]
    assert claim_of(claims, "a.b") == 1
    assert claim_of(claims, "realm_access.roles.x") is None


def test_secrets_stand_in_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    good = "oidc: {issuer: 'https://id.example.org', client_id: f, roles: {ops: operator}"
    config = read_config(f"{good}, client_secret_file: {tmp_path}/secret}}\n", "collector.yml")
    assert config.problems == []
    assert config.oidc is not None
    for bad, said in (
        ("issuer: 'http://id.example.org', client_id: f, roles: {a: viewer}", "https"),
        ("issuer: 'https://id.example.org', client_id: f, roles: {a: agent}", "viewer, operator"),
        ("issuer: 'https://id.example.org', client_id: f, roles: {}", "nobody could sign in"),
        ("issuer: 'https://id.example.org', client_id: f", "roles"),
        ("issuer: 'https://id.example.org', roles: {a: viewer}", "client_id"),
    ):
        problems = read_config(f"oidc: {{{bad}}}\n", "collector.yml").problems
        assert len(problems) == 1, problems
        assert said in str(problems[0])
