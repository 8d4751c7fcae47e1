"""The page of one task in a real browser: a process that a real agent saw die."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from support.browser import PHONE, accessible
from support.crowd import crowd
from support.watched_host import WatchedHost

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def broken(host: WatchedHost) -> dict[str, Any]:
    """The task of the shop that died, after one before it that a person resolved."""
    first = host.break_shop()
    said = b'{"text": "restarted it; the release of Tuesday leaks", "who": "Bea"}'
    path = f"/api/tasks/{first['number']}/close"
    body = said.replace(b"{", b'{"reason": "fixed", ', 1)
    assert host.collector.post(path, body, Content_Type="application/json").status == 200
    host.start_shop()
    host.mended(first["number"])
    return host.break_shop()


@pytest.fixture
def page(host: WatchedHost, page_of: Open, broken: dict[str, Any]) -> Page:
    """Its page, as an operator sees it."""
    return page_of(f"/tasks/{broken['number']}", token=host.tokens["operator"], name="Ann")


def now(host: WatchedHost, task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = host.collector.get(f"/api/tasks/{task['number']}").json()
    return found


def card(page: Page, heading: str) -> Any:
    return page.locator("section.card", has=page.get_by_role("heading", name=heading, exact=True))


def test_it_says_in_one_sentence_what_is_wrong(page: Page, broken: dict[str, Any]) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("shop on host-1 is down")
    lag = broken["opened_at"] - broken["onset_at"]
    said = re.compile(rf"^Wrong on host-1 for [\w ]+; it was a task {lag} ms after it began\.")
    expect(page.locator(".sentence")).to_have_text(said)


def test_the_evidence_is_there(page: Page, broken: dict[str, Any]) -> None:
    plot = page.locator("svg.plot")
    expect(plot.locator("path.c0, circle.d0").first).to_be_attached()
    expect(plot.locator("line.limit")).to_have_count(1)
    assert "onset" in plot.text_content() or ""
    # The agent tells who killed it, and what its log said.
    expect(card(page, "Changes before the onset")).to_contain_text("was killed by SIGTERM")
    expect(card(page, "Events and log lines")).to_contain_text("CRITICAL out of memory")
    expect(card(page, "Processes at the onset")).to_contain_text("shop")
    before = card(page, "What ended it before")
    expect(before).to_contain_text("restarted it; the release of Tuesday leaks")
    expect(before).to_contain_text("fixed by Bea")
    expect(card(page, "Checklist").locator("li")).to_have_count(len(broken["checklist"]))


def test_the_rule_is_named_with_its_file_and_line(page: Page) -> None:
    rule = card(page, "Rule")
    place = rule.locator(".place").inner_text()
    file, _, line = place.rpartition(":")
    with open(file) as text:
        assert text.readlines()[int(line) - 1].strip() == "- alert: ProcessGroupDown"
    expect(rule).to_contain_text("namedprocess_namegroup_num_procs == 0")


def test_the_ticket_tells_of_the_delivery(page: Page) -> None:
    expect(card(page, "Ticket")).to_contain_text("open to support")


def test_its_ticket_is_linked_if_that_is_an_address(
    page_of: Open, host: WatchedHost, broken: dict[str, Any]
) -> None:
    task_id = int(broken["number"].removeprefix("FW-"))
    rows = [
        (task_id, "tracker", "OPS-7", "https://tracker.example/OPS-7", 1, "in_progress", "bea.i"),
        (task_id, "other", "evil", "javascript:alert(1)", 1, "new", ""),
    ]
    with sqlite3.connect(host.collector.data / "ledger.db") as ledger:
        ledger.executemany(
            "INSERT INTO tickets (task_id, queue, ref, url, made_at, state, assignee)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    ledger.close()
    ticket = card(page_of(f"/tasks/{broken['number']}"), "Ticket")
    link = ticket.get_by_role("link", name="OPS-7")
    expect(link).to_have_attribute("href", "https://tracker.example/OPS-7")
    expect(ticket).to_contain_text("in progress OPS-7 tracker, bea.i")
    expect(ticket.get_by_role("link")).to_have_count(1)


def test_a_plot_tells_its_values_to_mouse_and_keys(page: Page) -> None:
    plot = page.locator("svg.plot")
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    expect(page.locator(".reading")).to_contain_text(re.compile(r"\d\d:\d\d:\d\d UTC\s*[01]"))
    page.mouse.move(5, 5)
    expect(page.locator(".reading")).to_have_count(0)
    plot.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".reading")).to_contain_text("UTC")
    page.keyboard.press("Escape")
    expect(page.locator(".reading")).to_have_count(0)


def test_it_goes_through_its_states_by_the_buttons(
    page: Page, host: WatchedHost, broken: dict[str, Any]
) -> None:
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#what").get_by_text("acknowledged", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_role("button", name="Start work").click()
    expect(page.locator("#what").get_by_text("in progress", exact=True)).to_be_visible()
    page.locator("summary", has_text="Assign").click()
    page.get_by_role("button", name="Take it myself").click()
    expect(page.locator("#facts dd").first).to_have_text("Ann")
    page.locator("summary", has_text="Wait").click()
    page.get_by_label("For how long").first.select_option("4h")
    page.get_by_label("For what").fill("the vendor")
    page.locator("button[value=wait]").click()
    expect(page.locator("#what").get_by_text("waiting", exact=True)).to_be_visible()
    page.locator("summary", has_text="Comment").click()
    page.get_by_label("For the timeline").fill("<b>they</b> call back")
    page.locator("button[value=comment]").click()
    expect(page.locator("#timeline .kind-comment")).to_contain_text("<b>they</b> call back")
    page.locator("summary", has_text="Close").click()
    page.locator("button[value=close]").click()
    expect(page.locator("#notice")).to_contain_text("Choose what became of it")
    page.locator("summary", has_text="Close").click()
    page.get_by_label("What became of it").select_option("no_action")
    page.locator("button[value=close]").click()
    expect(page.locator("#what").get_by_text("closed", exact=True)).to_be_visible()
    page.locator("summary", has_text="Reopen").click()
    page.locator("button[value=reopen]").click()
    expect(page.locator("#what").get_by_text("open", exact=True)).to_be_visible()
    # Who starts it has it already: taking it changes nothing.
    states = [each["kind"] for each in now(host, broken)["timeline"] if each["who"] == "Ann"]
    assert states == [
        "acknowledged",
        "started",
        "waiting",
        "comment",
        "closed",
        "reopened",
    ]


def test_a_silence_of_it_is_named_and_can_be_ended(
    page: Page, host: WatchedHost, broken: dict[str, Any]
) -> None:
    page.locator("summary", has_text="Silence").click()
    page.get_by_label("Why", exact=True).first.fill("the shop moves house")
    page.locator("button[value=silence]").click()
    expect(card(page, "Silenced")).to_contain_text("the shop moves house Ann")
    page.get_by_role("button", name="End the silence").click()
    expect(card(page, "Silenced")).to_have_count(0)
    (silence,) = host.collector.get("/api/silences").json()["silences"]
    assert silence["state"] == "expired"


def test_what_happens_shows_without_being_loaded_again(
    page: Page, host: WatchedHost, broken: dict[str, Any]
) -> None:
    expect(page.locator("#live.on")).to_be_visible()
    page.evaluate("window.same = true")
    path = f"/api/tasks/{broken['number']}/comment"
    body = b'{"text": "seen from a terminal", "who": "Carla"}'
    host.collector.post(path, body, Content_Type="application/json")
    expect(page.locator("#timeline")).to_contain_text("seen from a terminal")
    assert page.evaluate("window.same") is True


def test_what_is_being_written_is_not_lost_when_something_happens(
    page: Page, host: WatchedHost, broken: dict[str, Any]
) -> None:
    page.locator("summary", has_text="Comment").click()
    page.get_by_label("For the timeline").fill("half a thou")
    body = b'{"text": "another word", "who": "Carla"}'
    path = f"/api/tasks/{broken['number']}/comment"
    host.collector.post(path, body, Content_Type="application/json")
    expect(page.locator("#timeline")).to_contain_text("another word")
    expect(page.get_by_label("For the timeline")).to_have_value("half a thou")


def test_without_a_script_all_of_it_can_be_read_and_done(
    page_of: Open, host: WatchedHost, broken: dict[str, Any]
) -> None:
    page = page_of(
        f"/tasks/{broken['number']}", token=host.tokens["operator"], java_script_enabled=False
    )
    expect(page.locator("svg.plot")).to_be_visible()
    page.locator("summary", has_text="Comment").click()
    page.get_by_label("For the timeline").fill("by a form alone")
    page.locator("button[value=comment]").click()
    expect(page.locator("#timeline")).to_contain_text("by a form alone")


def test_a_task_from_outside_says_what_is_not_known_of_it(page_of: Open, host: WatchedHost) -> None:
    crowd(host.collector, 3)
    (task,) = host.collector.tasks(rule="DiskFillsUp")
    page = page_of(f"/tasks/{task['number']}")
    expect(card(page, "Rule")).to_contain_text("from outside")
    accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_task_is_accessible(
    page_of: Open, host: WatchedHost, broken: dict[str, Any], scheme: str
) -> None:
    address = f"/tasks/{broken['number']}"
    page = page_of(address, token=host.tokens["operator"], color_scheme=scheme)
    accessible(page)


def test_a_phone_shows_a_task_without_scrolling_sideways(
    page_of: Open, host: WatchedHost, broken: dict[str, Any]
) -> None:
    address = f"/tasks/{broken['number']}"
    page = page_of(address, token=host.tokens["operator"], viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
