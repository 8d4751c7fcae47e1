"""What strangers write into names, texts and addresses does no harm on any page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from support.browser import Pages
from support.crowd import report
from support.servers import RunningCollector, call, running_collector
from support.two_customers import BRAVO, TwoCustomers, two_customers
from support.waiting import wait_until

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TURNED = "\u202etxt.exe\u0007\u2066"
LONG = "a-host-with-a-very-long-name-" * 8
NAMES = (SCRIPT, TURNED, LONG, "../../etc/passwd", "a/b?c#d&e=%2e%2e", "{{ 7 * 7 }}")
RULES = """\
groups:
  - name: "<b>group</b>/.."
    rules:
      - alert: Fails
        expr: up * on() up
      - alert: Never
        expr: vector(1) > 2
        labels: {note: "<img src=x onerror=alert(3)>"}
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    """A collector of hosts, tasks and rules with such names."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "rules.yml").write_text(RULES)
    (folder / "collector.yml").write_text("rules: [rules.yml]\n")
    config = str(folder / "collector.yml")
    with running_collector(folder, "--config", config, "--no-auth") as collector:
        report(collector, [(name, name) for name in NAMES])
        alerts = [
            {
                "labels": {"alertname": name, "instance": name, "customer": name, "x": name},
                "annotations": {
                    "summary": name,
                    "description": name,
                    "runbook_url": "javascript:alert(4)",
                },
                "generatorURL": "javascript:alert(5)",
            }
            for name in NAMES
        ]
        body = json.dumps(alerts).encode()
        assert collector.post("/api/v2/alerts", body, Content_Type="application/json").status == 200

        def all_there() -> bool:
            return int(collector.get("/api/tasks", limit="1").json()["total"]) >= len(NAMES)

        wait_until("the tasks", all_there)
        yield collector


@pytest.fixture
def opens(browser: Browser, hostile: RunningCollector) -> Iterator[Callable[..., Page]]:
    pages = Pages(browser, hostile, {})
    yield pages.open
    pages.close()


def every_page(collector: RunningCollector) -> list[str]:
    tasks = [f"/tasks/{task['number']}" for task in collector.tasks()]
    hosts = [f"/hosts/{quote(name, safe='')}?customer={quote(name)}" for name in NAMES]
    asked = [f"{page}{quote(SCRIPT)}" for page in ("/?q=", "/hosts?q=", "/rules?q=", "/try?expr=")]
    rules = ["/rules", *(f"/rules/{quote(f'<b>group</b>/../{n}', safe='')}" for n in ("Fails",))]
    return ["/", "/hosts", "/queues", "/about", *tasks, *hosts, *asked, *rules]


def test_no_page_runs_or_embeds_what_a_name_or_text_says(
    hostile: RunningCollector, opens: Callable[..., Page]
) -> None:
    page = opens("/")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    for path in every_page(hostile):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        strange = "main script, main img:not([src^='/']), main b b, a[href^='javascript:']"
        assert page.locator(strange).count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280, path
        assert "49" not in page.locator("h1").inner_text(), path
    assert asked == []


def test_a_host_is_reached_from_its_tile_whatever_its_name(opens: Callable[..., Page]) -> None:
    page = opens("/hosts")
    links: list[str] = page.locator(".fleet a").evaluate_all("all => all.map(each => each.href)")
    found = []
    for link in links:
        page.goto(link)
        found.append(page.locator("h1").evaluate("each => each.textContent"))
    assert sorted(found) == sorted(NAMES)


@pytest.mark.parametrize(
    "to", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/x"]
)
def test_nobody_is_led_away(hostile: RunningCollector, to: str, opens: Callable[..., Page]) -> None:
    page = opens("/")
    token = page.locator("input[name=form_token]").first.input_value()
    for path, form in (
        ("/theme", {"theme": "dark", "back": to}),
        ("/tasks/actions", {"do": "acknowledge", "back": to}),
    ):
        answer = page.request.post(
            hostile.url + path, form={"form_token": token, **form}, max_redirects=0
        )
        assert (answer.status, answer.headers["location"]) == (303, "/")
    answer = page.request.get(f"{hostile.url}/sign-in?next={quote(to)}", max_redirects=0)
    assert (answer.status, answer.headers["location"]) == (303, "/")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/tasks/actions", "/theme", "/sign-out", "/queues/q/revive"])
def test_a_form_that_no_page_of_ours_has_sent_is_refused(
    hostile: RunningCollector, path: str, headers: dict[str, str]
) -> None:
    answer = call(f"{hostile.url}{path}", b"do=acknowledge FW-1", {**FORM, **headers}, "POST")
    assert answer.status == 403


@pytest.mark.parametrize(
    "expr",
    ["a" * 100_000, "(" * 5_000, "up[10y:1ms]", "count_over_time(up[50y:1ms])", "up{x=~'(a+)+$'}"],
)
def test_an_expression_that_asks_for_too_much_is_told_so(
    hostile: RunningCollector, expr: str
) -> None:
    form = quote(expr[:6_000])
    answer = call(f"{hostile.url}/try?expr={form}&range=30d", headers={"Accept": "text/html"})
    assert answer.status == 200
    assert call(f"{hostile.url}/-/healthy").status == 200


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCustomers]:
    with two_customers(tmp_path_factory.mktemp("two")) as found:
        yield found


def pages_of(collector: RunningCollector, tasks: dict[str, str]) -> dict[str, Any]:
    return {
        "/": 200,
        "/?state=all&rows=1000": 200,
        f"/tasks/{tasks[BRAVO]}": 404,
        "/hosts": 200,
        "/hosts/web-1?customer=bravo&range=1h": 200,
        "/hosts/bravo-host?customer=bravo": 404,
        "/rules": 200,
        "/rules/shared%2FBroken": 200,
        "/rules/of-one%2FBravoSlow": 404,
        "/try?expr=broken": 200,
        "/try?expr=%7B__name__%3D~%22.%2B%22%7D": 200,
        "/queues": 403,
        "/queues/support": 403,
        "/about": 403,
    }


@pytest.mark.parametrize("who", ["viewer acme", "operator acme"])
def test_no_page_tells_a_customer_of_another(two: TwoCustomers, who: str) -> None:
    for path, status in pages_of(two.collector, two.tasks).items():
        answer = two.call(who, "GET", path, headers={"Accept": "text/html"})
        assert answer.status == status, path
        said = answer.body.decode().lower()
        # What was asked for may be said back, as may that there is no such thing.
        if status == 200 and "bravo" not in path:
            assert "bravo" not in said, path
        assert "bravo-pump" not in said, path


def test_why_a_rule_fails_is_not_told_to_a_customer(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES.replace("on()", "on(customer)"))
    (tmp_path / "acme.token").write_text("secret-of-acme-alone")
    (tmp_path / "collector.yml").write_text(
        "rules: [rules.yml]\n"
        "tokens: [{name: acme, token_file: acme.token, role: viewer, customer: acme}]\n"
    )
    with running_collector(tmp_path, "--config", str(tmp_path / "collector.yml")) as collector:
        report(collector, [("web-1", BRAVO), ("web-2", BRAVO)])
        wait_until("the failure", lambda: BRAVO.encode() in collector.get("/rules").body)
        headers = {"Authorization": "Bearer secret-of-acme-alone", "Accept": "text/html"}
        for path in ("/rules", f"/rules/{quote('<b>group</b>/../Fails', safe='')}"):
            assert BRAVO in collector.get(path).body.decode()
            said = call(collector.url + path, headers=headers).body.decode()
            assert "those who may see all customers" in said
            assert BRAVO not in said
