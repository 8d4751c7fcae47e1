"""The list of tasks in a real browser, with a real agent's fault and a crowd of others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import PHONE, Pages, accessible, sign_in
from support.crowd import alerts, crowd
from support.watched_host import WatchedHost

Open = Callable[..., Page]
CROWD = 120
FEW = "/?q=FW-1"


@pytest.fixture(scope="module", autouse=True)
def _crowded(host: WatchedHost) -> None:
    host.break_shop()
    crowd(host.collector, CROWD)


@pytest.fixture
def page(host: WatchedHost, page_of: Open) -> Page:
    """The list, as an operator sees it."""
    return page_of(token=host.tokens["operator"], name="Ann")


def row(page: Page, number: str) -> Any:
    return page.locator(f'tr[data-key="{number}"]')


def numbers(page: Page) -> list[str]:
    return page.eval_on_selector_all("[data-rows] > tr", "rows => rows.map(row => row.dataset.key)")


def fresh(host: WatchedHost, **wanted: str) -> str:
    """A task that nobody has touched."""
    return str(host.collector.tasks(state="open", sort="-opened_at", **wanted)[0]["number"])


def task(host: WatchedHost, number: str) -> dict[str, Any]:
    found: dict[str, Any] = host.collector.get(f"/api/tasks/{number}").json()
    return found


def test_the_worst_come_first_and_of_these_what_is_due_first(page: Page) -> None:
    shown = page.locator("[data-rows] .bad .chip").all_inner_texts()
    order = ["critical", "high", "medium", "low"]
    assert shown == sorted(shown, key=order.index)
    assert len(shown) == 100
    # The shop's own rule gives half an hour, all others have four hours and more.
    assert row(page, numbers(page)[0]).inner_text().find("shop on host-1 is down") >= 0


def test_onset_to_task_is_told_in_each_row(page: Page) -> None:
    first = row(page, numbers(page)[0])
    expect(first.get_by_text(re.compile(r"task after \d+ ms"))).to_be_visible()


def test_the_address_holds_the_filter(page: Page, page_of: Open, host: WatchedHost) -> None:
    page.get_by_text("More filters").click()
    page.get_by_label("Customer").select_option("acme")
    page.wait_for_url("**/?customer=acme")
    page.get_by_label("Severity").select_option("high")
    page.wait_for_url("**customer=acme**")
    page.wait_for_url("**severity=high**")
    expected = [
        each
        for each in alerts(CROWD)
        if (each["labels"]["customer"], each["labels"]["severity"]) == ("acme", "high")
    ]
    expect(page.locator("[data-rows] > tr")).to_have_count(len(expected))
    again = page_of(page.url.removeprefix(host.collector.url))
    assert numbers(again) == numbers(page)
    page.go_back()
    page.wait_for_url(lambda url: "severity" not in url)
    expect(page.get_by_label("Customer")).to_have_value("acme")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("service=mail", lambda labels: labels["service"] == "mail"),
        ("host=shop-001", lambda labels: labels["instance"] == "shop-001"),
        ("rule=ClockSkew&rows=1000", lambda labels: labels["alertname"] == "ClockSkew"),
        ("q=grows+by", lambda labels: labels["alertname"] == "MemoryLeak"),
        ("kind=preventive&customer=acme", lambda labels: False),
        ("assignee=nobody-at-all", lambda labels: False),
        ("queue=support&service=mail", lambda labels: labels["service"] == "mail"),
    ],
)
def test_each_filter_finds_what_fits(
    host: WatchedHost, page_of: Open, query: str, fits: Callable[[dict[str, str]], bool]
) -> None:
    page = page_of(f"/?{query}", java_script_enabled=False)
    expected = sum(fits(each["labels"]) for each in alerts(CROWD))
    expect(page.locator("tbody > tr")).to_have_count(expected)
    if not expected:
        expect(page.get_by_role("heading", name="No task matches")).to_be_visible()


def test_pages_of_the_list_have_every_task_once(page: Page, host: WatchedHost) -> None:
    total = host.collector.get("/api/tasks", state=["open", "acknowledged"]).json()["total"]
    first = numbers(page)
    page.get_by_role("link", name="Next 100").click()
    page.wait_for_url("**cursor=**")
    second = numbers(page)
    assert len(set(first) | set(second)) == len(first) + len(second) == total


def test_a_row_is_acknowledged_where_it_stands(page: Page, host: WatchedHost) -> None:
    number = fresh(host, rule="ServiceDown")
    before = page.url
    row(page, number).get_by_role("button", name="Acknowledge").click()
    expect(row(page, number).get_by_text("acknowledged", exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="1 task acknowledged.")).to_be_visible()
    assert page.url == before
    found = task(host, number)
    assert (found["state"], found["acknowledged_by"]) == ("acknowledged", "Ann")
    entries = host.collector.get("/api/audit", of=number).json()["entries"]
    assert next((each["who"], each["detail"].get("token")) for each in entries if each["who"]) == (
        "Ann",
        "the-operator",
    )


def choose(page: Page, *chosen: str) -> None:
    for number in chosen:
        row(page, number).get_by_role("checkbox").check()
    expect(page.get_by_text(f"{len(chosen)} chosen")).to_be_visible()


def test_many_are_assigned_commented_on_and_resolved_at_once(page: Page, host: WatchedHost) -> None:
    chosen = numbers(page)[3:6]
    choose(page, *chosen)
    page.locator("summary", has_text="Assign").click()
    page.get_by_label("To whom").fill("Bea")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_text("3 tasks assigned.")).to_be_visible()
    assert [task(host, number)["assignee"] for number in chosen] == ["Bea"] * 3
    choose(page, *chosen)
    page.locator("summary", has_text="Comment").click()
    page.get_by_label("For the timeline").fill("we are\nat it")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.get_by_text("3 tasks commented on.")).to_be_visible()
    assert "we are\nat it" in [each["text"] for each in task(host, chosen[0])["timeline"]]
    choose(page, *chosen)
    page.locator("summary", has_text="Resolve").click()
    page.get_by_label("What mended it").fill("restarted")
    page.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_text("3 tasks resolved.")).to_be_visible()
    for number in chosen:
        expect(row(page, number)).to_have_count(0)
    assert {task(host, number)["state"] for number in chosen} == {"resolved"}


def test_a_silence_quiets_the_task_and_names_who_made_it(page: Page, host: WatchedHost) -> None:
    number = fresh(host, rule="DiskFillsUp")
    page.goto(f"/?q={number}")
    choose(page, number)
    page.locator("summary", has_text="Silence").click()
    page.get_by_label("For how long").select_option("1h")
    page.get_by_label("Why").fill("the disk is being replaced")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("1 task silenced.")).to_be_visible()
    (silence,) = host.collector.get("/api/silences", state="active").json()["silences"]
    assert (silence["created_by"], silence["comment"]) == ("Ann", "the disk is being replaced")
    labels = task(host, number)["labels"]
    assert sorted(silence["matchers"]) == sorted(
        f'{name}="{value}"' for name, value in labels.items() if name != "severity"
    )
    # It shows without being loaded again, once the alert was looked at.
    expect(row(page, number).get_by_text("quiet", exact=True)).to_be_visible()


def test_an_action_that_does_not_fit_is_refused_with_the_reason(
    page: Page, host: WatchedHost
) -> None:
    number = fresh(host, rule="BackupTooOld")
    page.goto(f"/?q={number}")
    host.collector.post(f"/api/tasks/{number}/start", b"{}", Content_Type="application/json")
    choose(page, number)
    page.get_by_role("button", name="Acknowledge").first.click()
    expect(page.get_by_text(f"{number} is in progress, acknowledge does not fit")).to_be_visible()


def test_what_a_page_of_an_ended_session_sends_is_refused_in_words(
    browser: Browser, host: WatchedHost
) -> None:
    pages = Pages(browser, host.collector, {})
    page = pages.open(token=host.tokens["operator"], expected=("403",))
    number = numbers(page)[0]
    page.context.clear_cookies()
    sign_in(page.context.new_page(), host.tokens["operator"], "Bea")
    row(page, number).get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#notice")).to_contain_text("this form is out of date")
    page.context.clear_cookies()
    row(page, number).get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**/sign-in?next=**")
    assert task(host, number)["state"] == "open"
    pages.close()


def test_keys_do_what_the_mouse_does(page: Page, host: WatchedHost) -> None:
    all_numbers = numbers(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.current")).to_have_attribute("data-key", all_numbers[1])
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(row(page, all_numbers[0]).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("x")
    number = fresh(host, rule="UpdatesPending")
    page.keyboard.press("/")
    page.keyboard.type(number)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**q={number}")
    page.keyboard.press("Escape")
    expect(row(page, number)).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.get_by_text("1 task acknowledged.")).to_be_visible()
    page.keyboard.press("c")
    page.keyboard.type("by keys alone")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 task commented on.")).to_be_visible()
    page.keyboard.press("i")
    page.keyboard.type("Carla")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 task assigned.")).to_be_visible()
    found = task(host, number)
    assert (found["assignee"], found["state"]) == ("Carla", "acknowledged")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tasks/{number}")


def test_without_a_script_many_are_handled_all_the_same(page_of: Open, host: WatchedHost) -> None:
    page = page_of(
        "/?rule=CertificateExpires", token=host.tokens["operator"], java_script_enabled=False
    )
    chosen = [each.get_attribute("value") for each in page.locator("input[name=task]").all()][:2]
    for number in chosen:
        page.locator(f"input[value='{number}']").check()
    page.locator("summary", has_text="Assign").click()
    page.get_by_role("button", name="Take it myself").click()
    expect(page.get_by_text("2 tasks given to you.")).to_be_visible()
    assert page.url.endswith("/?rule=CertificateExpires")
    assert {task(host, str(number))["assignee"] for number in chosen} == {"the-operator"}
    page.reload()
    expect(page.get_by_text("given to you")).to_have_count(0)


def test_a_viewer_sees_all_and_can_handle_nothing(page_of: Open, host: WatchedHost) -> None:
    page = page_of(token=host.tokens["viewer"])
    expect(page.locator("[data-rows] > tr").first).to_be_visible()
    for name in ("Acknowledge", "Assign", "Silence", "Resolve"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    answer = page.request.post(
        "/tasks/actions",
        form={
            "form_token": page.locator("input[name=form_token]").first.input_value(),
            "do": f"acknowledge {fresh(host)}",
        },
    )
    assert answer.status == 403


def test_a_form_that_comes_from_elsewhere_is_refused(page: Page, host: WatchedHost) -> None:
    number = fresh(host)
    act = {"do": f"acknowledge {number}"}
    assert page.request.post("/tasks/actions", form=act).status == 403
    good = {**act, "form_token": page.locator("input[name=form_token]").first.input_value()}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert page.request.post("/tasks/actions", form=good, headers=headers).status == 403
    assert task(host, number)["state"] == "open"
    # The cookie alone writes nothing through the API.
    answer = page.request.post(f"/api/tasks/{number}/acknowledge", data={})
    assert answer.status == 401


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_is_accessible(page_of: Open, host: WatchedHost, scheme: str) -> None:
    page = page_of(FEW, token=host.tokens["operator"], color_scheme=scheme)
    accessible(page)
    page.locator("summary", has_text="Silence").click()
    accessible(page)


def test_a_phone_shows_the_list_without_scrolling_sideways(
    page_of: Open, host: WatchedHost
) -> None:
    page = page_of(FEW, token=host.tokens["operator"], viewport=PHONE)
    expect(page.get_by_role("button", name="Acknowledge").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
