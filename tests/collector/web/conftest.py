"""One browser and one watched host for all tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from support.browser import Pages, browsing
from support.watched_host import WatchedHost, watched_host


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of the module, not of the session: while it runs, no test can run a loop of its own."""
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedHost]:
    """A collector and a real agent."""
    with watched_host(tmp_path_factory.mktemp("host")) as found:
        yield found


@pytest.fixture(scope="module")
def sessions() -> dict[str, Any]:
    """Who has signed in at the host's collector."""
    return {}


@pytest.fixture
def page_of(
    browser: Browser, host: WatchedHost, sessions: dict[str, Any]
) -> Iterator[Callable[..., Page]]:
    """Opens a page of the host's collector, see `Pages.open`; at the end nothing may be amiss."""
    pages = Pages(browser, host.collector, sessions)
    yield pages.open
    pages.close()
