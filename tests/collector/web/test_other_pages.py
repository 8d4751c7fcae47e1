"""Hosts, rules, queues and the page about the collector, in a real browser with a real agent."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from support.browser import PHONE, accessible
from support.waiting import wait_until
from support.watched_host import HOST, WatchedHost

Open = Callable[..., Page]
PAGES = (
    "/hosts",
    f"/hosts/{HOST}",
    "/rules",
    "/rules/process%2FProcessGroupDown",
    "/try?expr=up",
    "/queues",
    "/queues/support",
    "/about",
)


@pytest.fixture(scope="module", autouse=True)
def _with_a_fault(host: WatchedHost) -> None:
    host.break_shop()
    # The collector stores its own figures every 15 seconds.
    wait_until("its own figures", lambda: host.collector.query("forewarn_store_series"), 60)
    # And a plot has a point every 15.
    wait_until("a plot", lambda: host.collector.query("node_load1 offset 16s"), 60)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_and_fits_a_phone_in_the_dark(page_of: Open, path: str) -> None:
    page = page_of(path, viewport=PHONE, color_scheme="dark")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_navigation_leads_to_every_page(page_of: Open) -> None:
    page = page_of("/")
    for name in ("Hosts", "Rules", "Queues", "About", "Tasks"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_contain_text(name)


def test_a_tile_tells_the_worst_and_leads_to_its_host(page_of: Open) -> None:
    page = page_of("/hosts")
    # The machine that runs the tests may be short of something, too.
    tile = page.get_by_title(re.compile(rf"{HOST}: \d+ tasks?, the worst critical"))
    expect(tile).to_have_class("critical")
    tile.click()
    expect(page.get_by_role("heading", name=HOST, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=f"shop on {HOST} is down")).to_be_visible()
    for title in ("CPU, % of all cores", "Memory in use, %", "Filesystems in use, %"):
        figure = page.locator("figure", has_text=title)
        expect(figure.locator("svg.plot")).to_have_attribute("role", "img")
    expect(page.locator("#services")).to_contain_text("not running")
    expect(page.locator("#events")).to_contain_text("process_exit")
    expect(page.locator("#facts")).to_contain_text("Kernel")


def test_a_host_of_which_nothing_is_known_is_told_so(page_of: Open) -> None:
    page = page_of("/hosts/nobody", expected=("404",))
    expect(page.get_by_text("no host nobody has reported")).to_be_visible()


def test_hosts_are_searched_and_the_address_holds_it(page_of: Open) -> None:
    page = page_of("/hosts?q=nothing")
    expect(page.get_by_text("No host matches")).to_be_visible()
    page.get_by_label("Search").fill("host")
    page.get_by_label("Search").press("Enter")
    expect(page.locator(".fleet a")).to_have_count(1)
    assert "q=host" in page.url


def test_rules_tell_what_fires_what_it_cost_and_whether_it_is_tested(page_of: Open) -> None:
    page = page_of("/rules?show=active")
    line = page.get_by_role("row", name="ProcessGroupDown")
    expect(line).to_contain_text("1 firing")
    expect(line).to_contain_text(" ms")
    page.goto("/rules?show=untested")
    # A test of the rules that ship holds that each of them has one.
    expect(page.get_by_text("No rule matches")).to_be_visible()


def test_a_phone_shows_the_name_of_a_rule_in_one_line(page_of: Open) -> None:
    page = page_of("/rules?q=ProcessGroupDown", viewport=PHONE)
    name = page.get_by_role("link", name="ProcessGroupDown").bounding_box()
    assert name is not None
    assert name["height"] < 30


def test_a_rule_shows_its_alerts_tasks_and_file(page_of: Open) -> None:
    page = page_of("/rules?q=ProcessGroupDown")
    page.get_by_role("link", name="ProcessGroupDown").click()
    expect(page.locator("#alerts")).to_contain_text("firing")
    expect(page.locator("#tasks")).to_contain_text("shop on host-1 is down")
    expect(page.get_by_text("service.yml:")).to_be_visible()
    expect(page.locator("#tried svg.plot")).to_be_visible()


def test_an_expression_is_tried_with_a_plot_or_told_what_is_wrong(page_of: Open) -> None:
    page = page_of("/rules")
    page.get_by_label("Try an expression").fill("node_load1 >= 0")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator("svg.plot")).to_be_visible()
    expect(page.locator(".series")).to_contain_text(f'instance="{HOST}"')
    page.get_by_role("textbox").fill("sum(")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator(".notice.problem")).to_contain_text("1:5")


def test_a_rule_is_replayed_and_what_it_would_have_opened_is_told(
    host: WatchedHost, page_of: Open
) -> None:
    page = page_of("/rules/process%2FProcessGroupDown", token=host.tokens["operator"])
    page.get_by_label("over the last").select_option("1")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#replayed")).to_contain_text("Replaying 1 day")
    expect(page.locator("#replayed")).to_contain_text("tasks a host and week", timeout=60_000)
    expect(page.locator("#replayed")).to_contain_text("shop on host-1 is down")
    expect(page.get_by_role("button", name="Replay")).to_be_enabled()


def test_who_only_reads_may_not_replay_and_a_strange_form_is_refused(
    host: WatchedHost, page_of: Open
) -> None:
    page = page_of("/rules/process%2FProcessGroupDown", token=host.tokens["viewer"])
    answer = page.request.post(
        f"{host.collector.url}/rules/process%2FProcessGroupDown/backtest", form={"days": "1"}
    )
    assert answer.status == 403


def test_a_queue_shows_what_it_is_owed_and_sends_again_what_was_given_up(
    host: WatchedHost, page_of: Open
) -> None:
    page = page_of("/queues", token=host.tokens["admin"])
    expect(page.locator(".queue")).to_contain_text("delivered")
    page.get_by_role("link", name="support").click()
    expect(page.get_by_role("row", name="FW-1 open")).to_contain_text("delivered")


def test_the_page_about_itself_has_figures_and_plots(page_of: Open) -> None:
    page = page_of("/about")
    expect(page.locator("#figures")).to_contain_text("1host reports")
    expect(page.locator("#figures")).to_contain_text("%")
    expect(page.locator("figure", has_text="Memory, bytes").locator("svg.plot")).to_be_visible()
