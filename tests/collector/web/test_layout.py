"""What all pages share: sign-in, headers, colours, what a newcomer sees, errors."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.browser import PHONE, accessible, sign_in
from support.servers import call
from support.watched_host import WatchedHost

Open = Callable[..., Page]


def test_who_signs_in_is_named_and_can_sign_out(host: WatchedHost, page_of: Open) -> None:
    page = page_of()
    sign_in(page, host.tokens["operator"], "Ann Lee")
    expect(page.get_by_text("Ann Lee · operator")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Ann Lee")).to_have_count(0)


def test_a_wrong_token_is_told_so(page_of: Open) -> None:
    page = page_of("/sign-in")
    page.get_by_label("Token").fill("not a token of anybody")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status").filter(has_text="No such token")).to_be_visible()


def test_the_sign_in_is_accessible_on_a_phone_in_the_dark(page_of: Open) -> None:
    page = page_of("/sign-in", viewport=PHONE, color_scheme="dark")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_colours_can_be_chosen_and_stay(page_of: Open) -> None:
    page = page_of(color_scheme="light")
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(shade)
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(shade) != light
    page.reload()
    assert page.evaluate(shade) != light


def test_what_is_not_there_is_told_as_a_page(page_of: Open) -> None:
    page = page_of("/tasks/FW-999", expected=("404",))
    expect(page.get_by_text("there is no task FW-999")).to_be_visible()


def test_nothing_inline_and_nothing_from_elsewhere_is_admitted(host: WatchedHost) -> None:
    for path in ("/", "/sign-in", "/?state=all"):
        answer = host.collector.get(path)
        policy = dict(
            each.strip().split(" ", 1)
            for each in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy.pop("default-src") == "'none'"
        assert set(policy.values()) <= {"'self'", "'none'"}, "no unsafe-inline, no other place"
        assert (policy["script-src"], policy["frame-ancestors"]) == ("'self'", "'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_own_files_are_kept_by_browsers_for_as_long_as_they_are_the_same(
    host: WatchedHost,
) -> None:
    page = host.collector.get("/").body.decode()
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = call(host.collector.url + address)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    again = call(host.collector.url + address, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    other = call(host.collector.url + address.partition("?")[0])
    assert other.headers["Cache-Control"] == "no-cache"
