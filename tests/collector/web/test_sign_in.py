"""Signing in by a provider, in a real browser; and what each of two customers' viewers sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import Pages
from support.oidc_provider import CLIENT, SECRET, OidcProvider, oidc_provider
from support.servers import RunningCollector, call, running_collector
from support.two_customers import ACME, BRAVO, TwoCustomers, two_customers

Open = Callable[..., Page]
CONFIG = """\
oidc:
  issuer: {issuer}
  client_id: {client}
  client_secret_file: {secret}
  roles_claim: realm_access.roles
  roles: {{ops: operator, staff: viewer}}
  customer_claim: customer
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(
        ann={
            "preferred_username": "ann",
            "realm_access": {"roles": ["staff", "ops"]},
            "customer": "*",
        },
        bea={"preferred_username": "bea", "realm_access": {"roles": []}, "customer": "acme"},
    ) as found:
        yield found


@pytest.fixture(scope="module")
def collector(
    provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningCollector]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text(f"{SECRET}\n")
    config = CONFIG.format(issuer=provider.issuer, client=CLIENT, secret=folder / "secret")
    (folder / "collector.yml").write_text(config)
    with running_collector(folder, "--config", str(folder / "collector.yml")) as found:
        yield found


@pytest.fixture
def page_of(browser: Browser, collector: RunningCollector) -> Iterator[Open]:
    pages = Pages(browser, collector, {})
    yield pages.open
    pages.close()


def test_a_person_signs_in_at_the_provider_and_comes_back_to_where_they_were(
    page_of: Open, collector: RunningCollector
) -> None:
    page = page_of("/?state=all")
    page.wait_for_url("**/sign-in?next=**")
    page.get_by_role("link", name="Sign in with 127.0.0.1").click()
    page.get_by_role("link", name="ann").click()
    page.wait_for_url("**/?state=all")
    expect(page.get_by_text("ann · operator")).to_be_visible()
    cookies = {each["name"]: each for each in page.context.cookies()}
    session = cookies["forewarn"]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")
    assert "forewarn_sign_in" not in cookies
    assert session["value"] not in collector.output
    metrics = collector.get("/metrics").body.decode()
    assert 'forewarn_sign_ins_total{by="oidc",outcome="admitted"} 1.0' in metrics
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in?**")
    # What the cookie said once it says no more.
    old = {"Cookie": f"forewarn={session['value']}"}
    assert call(f"{collector.url}/api/tasks", headers=old).status == 401


def test_who_has_no_role_is_told_whom_to_ask(page_of: Open) -> None:
    page = page_of()
    page.get_by_role("link", name="Sign in with 127.0.0.1").click()
    page.get_by_role("link", name="bea").click()
    expect(page.get_by_role("status").filter(has_text="bea may not use this page")).to_be_visible()


def test_an_answer_that_nobody_asked_for_is_refused(page_of: Open) -> None:
    page = page_of("/sign-in/oidc/back?code=stolen&state=guessed")
    expect(page.get_by_role("status").filter(has_text="not begun here")).to_be_visible()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCustomers]:
    with two_customers(tmp_path_factory.mktemp("two")) as found:
        yield found


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_is_of_one_customer_sees_only_that(
    browser: Browser, world: TwoCustomers, tmp_path: Path, role: str
) -> None:
    pages = Pages(browser, world.collector, {})
    page = pages.open(
        "/?state=all", token=world.tokens[f"{role} {ACME}"], name="Ann", expected=("404",)
    )
    expect(page.get_by_text(f"Ann · {role} of {ACME}")).to_be_visible()
    for address in ("/?state=all", f"/tasks/{world.tasks[ACME]}"):
        page.goto(address)
        assert ACME in page.content()
        assert BRAVO not in page.content().lower()
    page.goto(f"/tasks/{world.tasks[BRAVO]}")
    expect(page.get_by_text(f"there is no task {world.tasks[BRAVO]}")).to_be_visible()
    page.goto(f"/?customer={BRAVO[:4]}o")
    expect(page.get_by_role("heading", name="No task matches")).to_be_visible()
    if role == "operator":
        before = world.settled(world.tasks[BRAVO])
        answer = page.request.post(
            "/tasks/actions",
            form={
                "form_token": page.locator("input[name=form_token]").first.input_value(),
                "do": f"resolve {world.tasks[BRAVO]}",
            },
        )
        assert "There is no task" in answer.text()
        assert world.settled(world.tasks[BRAVO]) == before
    pages.close()
