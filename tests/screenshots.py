"""Makes the pictures of the page in docs/images, by a real browser of a real collector.

python tests/screenshots.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from support.browser import PHONE, Pages, browsing
from support.crowd import crowd
from support.watched_host import watched_host

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def shoot(page: Page, folder: Path, name: str, *, whole: bool = False) -> None:
    """One picture, once the page is at rest."""
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_function("!document.getAnimations().length")
    page.screenshot(path=folder / f"{name}.png", full_page=whole)
    print(name)


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
        task = host.break_shop()
        crowd(host.collector, 60)
        light = pages.open(**operator)
        light.locator("input[name=task]").first.check()
        light.locator("input[name=task]").nth(2).check()
        shoot(light, folder, "page-tasks")
        shoot(pages.open(color_scheme="dark", **operator), folder, "page-tasks-dark")
        shoot(pages.open(viewport=PHONE, **operator), folder, "page-tasks-phone")
        address = f"/tasks/{task['number']}"
        shoot(pages.open(address, **operator), folder, "page-task", whole=True)
        dark = pages.open(address, color_scheme="dark", **operator)
        shoot(dark, folder, "page-task-dark", whole=True)
        shoot(
            pages.open(address, viewport=PHONE, **operator),
            folder,
            "page-task-phone",
            whole=True,
        )
        shoot(pages.open("/sign-in"), folder, "page-sign-in")
        pages.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else IMAGES)
