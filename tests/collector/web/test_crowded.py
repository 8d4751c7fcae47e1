"""1,000 tasks and 10,000 hosts in a real browser: all there, usable, and followed live."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import Pages, accessible
from support.crowd import crowd, fleet, host_name
from support.servers import RunningCollector, running_collector
from support.waiting import wait_until

TASKS = 1_000
HOSTS = 10_000


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    with running_collector(tmp_path_factory.mktemp("crowded"), "--no-auth") as collector:
        crowd(collector, TASKS)
        fleet(collector, HOSTS)
        wait_until("the hosts", lambda: collector.query(f"count(up) == {HOSTS}"))
        yield collector


@pytest.fixture
def opens(browser: Browser, crowded: RunningCollector) -> Iterator[Callable[..., Page]]:
    pages = Pages(browser, crowded, {})
    yield pages.open
    pages.close()


def test_a_thousand_tasks_are_handled_by_keys_and_followed(
    crowded: RunningCollector, opens: Callable[..., Page]
) -> None:
    page = opens(f"/?rows={TASKS}")
    rows = page.locator("[data-rows] > tr")
    expect(rows).to_have_count(TASKS)
    expect(page.locator("#live.on")).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("tr.current")).to_have_count(1)
    number = rows.last.get_attribute("data-key")
    body = json.dumps({"assignee": "Ann Lee"}).encode()
    crowded.post(f"/api/tasks/{number}/assign", body, Content_Type="application/json")
    expect(rows.last).to_contain_text("Ann Lee")
    expect(page.locator("tr.current")).to_have_count(1)


def test_ten_thousand_hosts_are_one_page_that_is_searched_and_followed(
    crowded: RunningCollector, opens: Callable[..., Page]
) -> None:
    page = opens("/hosts")
    tiles = page.locator(".fleet a")
    expect(tiles).to_have_count(HOSTS)
    expect(page.locator("#live.on")).to_be_visible()
    # One of those of which there is no task.
    instance, customer = host_name(HOSTS)
    tile = page.locator(f'.fleet a[href="/hosts/{instance}?customer={customer}"]')
    expect(tile).to_have_class("well")
    alert = {"labels": {"alertname": "New", "severity": "critical"}}
    alert["labels"] |= {"instance": instance, "customer": customer}
    body = json.dumps([alert]).encode()
    crowded.post("/api/v2/alerts", body, Content_Type="application/json")
    expect(tile).to_have_class("critical")
    page.keyboard.press("/")
    page.keyboard.type(instance)
    page.keyboard.press("Enter")
    expect(page.locator(".fleet.named a").first).to_contain_text(instance)
    accessible(page)
