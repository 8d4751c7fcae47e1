"""A page of a collector that goes away and comes back; and one to which nothing reports yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import Pages, accessible
from support.crowd import crowd
from support.servers import free_port, running_collector

LOST = "Connection lost, reconnecting"
# What a browser notes when nobody listens, or a connection ends in the middle.
BREAKS = ("Failed to load resource", "net::ERR_")


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


def rows(page: Page) -> int:
    return page.locator("[data-rows] > tr").count()


def test_a_lost_connection_is_told_and_mended(
    browser: Browser, tmp_path: Path, address: str
) -> None:
    arguments = ("--listen", address, "--no-auth")
    with running_collector(tmp_path, *arguments) as collector:
        crowd(collector, 2)
        pages = Pages(browser, collector, {})
        page = pages.open(expected=BREAKS)
        expect(page.locator("#live.on")).to_be_visible()
        expect(page.get_by_text(LOST)).to_be_hidden()
        assert rows(page) == 2
    expect(page.get_by_text(LOST)).to_be_visible()
    expect(page.locator("#live.on")).to_have_count(0)
    with running_collector(tmp_path, *arguments) as collector:
        crowd(collector, 5)
        expect(page.get_by_text(LOST)).to_be_hidden(timeout=20_000)
        expect(page.locator("[data-rows] > tr")).to_have_count(5)
        expect(page.locator("#live.on")).to_be_visible()
        # Its forms know the collector that answers now.
        page.get_by_role("button", name="Acknowledge").nth(1).click()
        expect(page.get_by_text("1 task acknowledged.")).to_be_visible()
        pages.close()


@pytest.fixture
def empty(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page of a collector that has just been installed."""
    with running_collector(tmp_path) as collector:
        pages = Pages(browser, collector, {})
        yield pages.open()
        pages.close()


def test_a_newcomer_is_told_what_to_do_next(empty: Page) -> None:
    expect(empty.get_by_role("heading", name="No host reports yet")).to_be_visible()
    command = empty.locator(".empty pre").inner_text()
    assert f"forewarn-agent --collector {empty.url.rstrip('/')} --token-file token" in command
    expect(empty.get_by_role("link", name="Sign in")).to_be_visible()
    accessible(empty)


def test_a_page_that_nobody_sees_holds_no_connection(browser: Browser, tmp_path: Path) -> None:
    with running_collector(tmp_path) as collector:
        pages = Pages(browser, collector, {})
        page = pages.open()
        expect(page.locator("#live.on")).to_be_visible()
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        tell = "document.dispatchEvent(new Event('visibilitychange'))"
        streams = "forewarn_task_streams 1.0"
        assert streams in collector.get("/metrics").body.decode()
        page.evaluate(hide % "true" + tell)
        page.wait_for_function(
            "async () => !(await (await fetch('/metrics')).text()).includes('task_streams 1.0')"
        )
        page.evaluate(hide % "false" + tell)
        expect(page.locator("#live.on")).to_be_visible()
        pages.close()
