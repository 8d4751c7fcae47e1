"""Makes the pictures of the page in docs/images, by a real browser of a real collector.

python tests/screenshots.py [FOLDER]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from support.browser import PHONE, Pages, browsing
from support.crowd import crowd
from support.watched_host import WatchedHost, watched_host

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def shoot(page: Page, folder: Path, name: str, *, whole: bool = False) -> None:
    """One picture, once the page is at rest."""
    page.wait_for_function("!document.getAnimations().length")
    page.screenshot(path=folder / f"{name}.png", full_page=whole)
    print(name)


def handle(host: WatchedHost) -> None:
    """Have people at some of the tasks, so that the list looks like a day's."""

    def act(number: str, verb: str, **body: str) -> None:
        text = json.dumps({"who": "Bea Ito", **body}).encode()
        host.collector.post(f"/api/tasks/{number}/{verb}", text, Content_Type="application/json")

    for place, task in enumerate(host.collector.tasks(sort="urgency")):
        if place % 4 == 1:
            act(task["number"], "acknowledge")
        elif place % 4 == 2:
            act(task["number"], "assign", assignee=("Ann Lee", "Bea Ito")[place % 8 == 2])
        elif place % 7 == 3:
            act(task["number"], "start")


def broken_again(host: WatchedHost) -> str:
    """The number of a task whose problem was there before; its plot has some minutes of values."""
    first = host.break_shop()["number"]
    said = {"reason": "fixed", "who": "Bea Ito", "text": "restarted; the new release leaks memory"}
    body = json.dumps(said).encode()
    host.collector.post(f"/api/tasks/{first}/close", body, Content_Type="application/json")
    host.start_shop()
    host.mended(first)
    time.sleep(100)
    return str(host.break_shop()["number"])


def main(folder: Path) -> None:
    """All of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        browsing() as browser,
        watched_host(Path(place)) as host,
    ):
        pages = Pages(browser, host.collector, {})
        operator: dict[str, Any] = {"token": host.tokens["operator"], "name": "Ann Lee"}
        shoot(pages.open(**operator), folder, "page-nothing-to-do")
        number = broken_again(host)
        crowd(host.collector, 60)
        handle(host)
        light = pages.open(**operator)
        for row in (3, 5):
            light.locator("input[name=task]").nth(row).check()
        shoot(light, folder, "page-tasks")
        shoot(pages.open(color_scheme="dark", **operator), folder, "page-tasks-dark")
        shoot(pages.open(viewport=PHONE, **operator), folder, "page-tasks-phone")
        address = f"/tasks/{number}"
        task = pages.open(address, **operator)
        shoot(task, folder, "page-task", whole=True)
        phone = pages.open(address, viewport=PHONE, **operator)
        shoot(phone, folder, "page-task-phone", whole=True)
        shoot(pages.open("/sign-in"), folder, "page-sign-in")
        pages.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else IMAGES)
