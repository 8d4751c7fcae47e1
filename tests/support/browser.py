"""A real browser for tests of the page: Debian's Chromium, driven by Playwright.

Each page that a test opens is watched: an error on its console, a request that leaves the machine
or a script that fails is a failure of the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from support.servers import RunningCollector, program

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 860}
_SLOWEST = 10_000
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser; where there is none CI fails and a laptop skips."""
    chromium = program("chromium")
    with sync_playwright() as playwright:
        # As root, as in CI, Chromium has no sandbox.
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """What went wrong on the pages of one context."""

    problems: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of problems that a test makes on purpose."""

    def watch(self, page: Page) -> None:
        """Note what goes wrong on a page."""
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", self._asked)

    def check(self) -> None:
        """Fail if anything went wrong that was not meant to."""
        found = [each for each in self.problems if not any(part in each for part in self.expected)]
        assert not found, found

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.problems.append(f"{kind}: {text}")

    def _asked(self, request: Request) -> None:
        there = urlsplit(request.url)
        if there.scheme not in {"data", "blob"} and there.hostname != "127.0.0.1":
            self.problems.append(f"a request that leaves the machine: {request.url}")


class Pages:
    """Opens pages of one collector, each in a context of its own; `close` checks them all.

    `sessions` keeps who has signed in, for as long as the collector runs.
    """

    def __init__(
        self, browser: Browser, collector: RunningCollector, sessions: dict[str, Any]
    ) -> None:
        self._browser = browser
        self._collector = collector
        self._sessions = sessions
        self._open: list[tuple[BrowserContext, Watched]] = []

    def open(
        self,
        path: str = "/",
        *,
        token: str = "",
        name: str = "",
        expected: tuple[str, ...] = (),
        **context: Any,
    ) -> Page:
        """A page at `path`, signed in first where a `token` is given.

        `context` goes to Playwright: `viewport`, `color_scheme`, `java_script_enabled`. Problems
        with a part that is `expected` are no failure.
        """
        given = {"base_url": self._collector.url, "viewport": DESK, "locale": "en-GB", **context}
        if token:
            given["storage_state"] = self._signed_in(token, name)
        made = self._browser.new_context(**given)
        made.set_default_timeout(_SLOWEST)
        watched = Watched(expected=expected)
        self._open.append((made, watched))
        page = made.new_page()
        watched.watch(page)
        page.goto(path)
        return page

    def _signed_in(self, token: str, name: str) -> Any:
        """The cookies of somebody who has signed in, once for all pages of the browser."""
        key = f"{token} {name}"
        if key not in self._sessions:
            with self._browser.new_context(base_url=self._collector.url) as context:
                sign_in(context.new_page(), token, name)
                self._sessions[key] = context.storage_state()
        return self._sessions[key]

    def close(self) -> None:
        """End all, and fail if anything went wrong on one of them."""
        for context, _ in self._open:
            context.close()
        for _, watched in self._open:
            watched.check()


def sign_in(page: Page, token: str, name: str = "") -> None:
    """Sign in as a person does."""
    page.goto("/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def accessible(page: Page) -> None:
    """Fail if axe finds anything against WCAG 2.2 AA on the page."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _WCAG}})
    told = [
        f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes']][:3]}"
        for each in found.response["violations"]
    ]
    assert told == []
