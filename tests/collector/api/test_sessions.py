"""Sessions of the page: how long they last, what their cookies are like, what forms must bear."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from forewarn_collector.api.callers import Caller
from forewarn_collector.api.sessions import LIFETIME, Sessions
from forewarn_collector.config_tokens import Role

ANN = Caller("desk", "acme", Role.OPERATOR, "Ann")


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock, secure=False)


def signed_in(sessions: Sessions, caller: Caller = ANN) -> web.Request:
    """A request with the cookie that a sign-in gave."""
    response = web.Response()
    sessions.begin(response, caller)
    morsel = response.cookies[sessions.cookie]
    return make_mocked_request("GET", "/", {"Cookie": f"{morsel.key}={morsel.value}"})


def test_a_session_is_of_who_signed_in_until_a_day_of_work_is_over(
    sessions: Sessions, clock: Clock
) -> None:
    request = signed_in(sessions)
    found = sessions.of(request)
    assert found is not None
    assert found.caller == ANN
    clock.now += LIFETIME - 1
    assert sessions.of(request) is not None
    clock.now += 1
    assert sessions.of(request) is None


def test_who_signed_out_is_nobody(sessions: Sessions) -> None:
    request = signed_in(sessions)
    response = web.Response()
    sessions.end(request, response)
    assert sessions.of(request) is None
    assert str(response.cookies[sessions.cookie]["max-age"]) == "0"


@pytest.mark.parametrize("cookie", ["", "forewarn=", "forewarn=guessed"])
def test_a_cookie_that_was_never_given_is_of_nobody(sessions: Sessions, cookie: str) -> None:
    signed_in(sessions)
    headers = {"Cookie": cookie} if cookie else {}
    assert sessions.of(make_mocked_request("GET", "/", headers)) is None


def test_no_script_reads_the_cookie_and_no_other_site_sends_it(clock: Clock) -> None:
    plain, secure = web.Response(), web.Response()
    Sessions(clock, secure=False).begin(plain, ANN)
    Sessions(clock, secure=True).begin(secure, ANN)
    ((name, morsel),) = SimpleCookie(secure.cookies.output(header="")).items()
    # The prefix is kept by browsers only with these (RFC 6265bis, 4.1.3.2).
    assert name.startswith("__Host-")
    assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
    for response in (plain, secure):
        (found,) = response.cookies.values()
        assert (found["httponly"], found["samesite"], found["path"]) == (True, "Lax", "/")
        assert len(found.value) >= 43, "256 bits"


def test_the_oldest_sessions_make_room(sessions: Sessions) -> None:
    first = signed_in(sessions)
    for _ in range(10_000):
        sessions.begin(web.Response(), ANN)
    assert len(sessions) == 10_000
    assert sessions.of(first) is None


def test_a_form_is_of_one_session(sessions: Sessions) -> None:
    ann, bob = signed_in(sessions), signed_in(sessions, Caller("bob"))
    nobody = make_mocked_request("GET", "/")
    tokens = [sessions.form_token(each) for each in (ann, bob, nobody)]
    assert len(set(tokens)) == 3
    for request, own in zip((ann, bob, nobody), tokens, strict=True):
        assert [sessions.has_form_token(request, each) for each in tokens] == [
            each == own for each in tokens
        ]
    assert not sessions.has_form_token(ann, "ä" * 64)
    assert sessions.form_token(nobody) != Sessions(Clock(), secure=False).form_token(nobody)
