"""Makes the pictures of the page in docs/images, by a real browser of a real collector.

python tests/screenshots.py [FOLDER]
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from forewarn_wire import labels_from
from support.browser import PHONE, Pages, browsing
from support.crowd import crowd, fleet, host_name
from support.past import Past, write_request
from support.watched_host import HOST, WatchedHost, watched_host
from support.writing import WRITE_HEADERS

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def shoot(page: Page, folder: Path, name: str, *, whole: bool = False) -> None:
    """One picture, once the page is at rest."""
    page.wait_for_function("!document.getAnimations().length")
    page.evaluate("scrollTo(0, 0)")
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


def busy_hour(instance: str, customer: str) -> Past:
    """What an agent would have sent of a busy host in the last hour: its disk fills, it waits."""
    now = int(time.time())
    minutes = range(-61, 0)

    def waver(minute: int) -> float:
        return 1 + 0.3 * math.sin(minute / 4) + 0.2 * math.sin(minute * 1.7)

    def counted(rate: float) -> list[float]:
        """A counter that grows by about `rate` a second."""
        total, found = 0.0, []
        for minute in minutes:
            total += rate * 60 * waver(minute) * (2 if minute > -20 else 1)
            found.append(total)
        return found

    values: dict[tuple[tuple[str, str], ...], list[float]] = {
        (("__name__", "node_load1"),): [1.4 * waver(minute) for minute in minutes],
        (("__name__", "node_memory_MemTotal_bytes"),): [16 * 2**30 for _ in minutes],
        (("__name__", "node_memory_MemAvailable_bytes"),): [
            (8 - 3 * (61 + minute) / 61) * 2**30 for minute in minutes
        ],
        (("__name__", "node_boot_time_seconds"),): [now - 37 * 86_400.0 for _ in minutes],
        (
            ("__name__", "node_os_info"),
            ("pretty_name", "Debian GNU/Linux 12 (bookworm)"),
        ): [1 for _ in minutes],
        (("__name__", "forewarn_agent_info"), ("version", "0.1.0")): [1 for _ in minutes],
    }
    for mode, rate in (("idle", 1.2), ("user", 0.4), ("system", 0.2), ("iowait", 0.1)):
        for cpu in "0123":
            values[("__name__", "node_cpu_seconds_total"), ("cpu", cpu), ("mode", mode)] = counted(
                rate / 4
            )
    for mountpoint, used in (("/", 0.4), ("/srv", 0.9)):
        disk = (("mountpoint", mountpoint), ("fstype", "ext4"), ("device", f"/dev/{used}"))
        values[("__name__", "node_filesystem_size_bytes"), *disk] = [2.0**38 for _ in minutes]
        values[("__name__", "node_filesystem_avail_bytes"), *disk] = [
            2.0**38 * (1 - used - (61 + minute) / 61 * used / 15) for minute in minutes
        ]
    for device in ("sda", "sdb"):
        named = (("__name__", "node_disk_io_time_seconds_total"), ("device", device))
        values[named] = counted(0.1 if device == "sda" else 0.3)
    for way, rate in (("receive", 400_000.0), ("transmit", 900_000.0)):
        named = (("__name__", f"node_network_{way}_bytes_total"), ("device", "eth0"))
        values[named] = counted(rate)
    for group, rate in (("shop", 0.3), ("postgres", 0.2), ("nginx", 0.05)):
        for what, series in (("cpu_seconds_total", counted(rate)), ("num_procs", [4.0] * 61)):
            values[("__name__", f"namedprocess_namegroup_{what}"), ("groupname", group)] = series
    of_host = {"instance": instance, "customer": customer, "job": "node"}
    return {
        labels_from({**dict(named), **of_host}): [
            ((now + 60 * minute) * 1000, value)
            for minute, value in zip(minutes, series, strict=True)
        ]
        for named, series in values.items()
    }


def shoot_the_rest(pages: Pages, host: WatchedHost, folder: Path, **operator: Any) -> None:
    """The pages besides those of tasks."""
    instance, customer = host_name(0)
    body = write_request(busy_hour(instance, customer))
    answer = host.collector.post("/api/v1/write", body, **WRITE_HEADERS)
    assert answer.status == 204, answer.body
    fleet(host.collector, 90)
    shoot(pages.open("/hosts", **operator), folder, "page-hosts")
    fleet(host.collector, 2_000)
    shoot(pages.open("/hosts", color_scheme="dark", **operator), folder, "page-hosts-many-dark")
    one = pages.open(f"/hosts/{instance}?customer={customer}", **operator)
    shoot(one, folder, "page-host", whole=True)
    shoot(pages.open("/rules", **operator), folder, "page-rules")
    rule = pages.open("/rules/process%2FProcessGroupDown?range=15m", **operator)
    rule.get_by_label("over the last").select_option("1")
    rule.get_by_role("button", name="Replay").click()
    rule.get_by_text("tasks a host and week").wait_for(timeout=120_000)
    shoot(rule, folder, "page-rule", whole=True)
    expr = f'100 * rate(node_disk_io_time_seconds_total{{instance="{instance}"}}[5m]) > 25'
    tried = pages.open("/rules", **operator)
    tried.get_by_label("Try an expression").fill(expr)
    tried.get_by_role("button", name="Try", exact=True).click()
    shoot(tried, folder, "page-try", whole=True)
    admin = {"token": host.tokens["admin"], "name": "Ann Lee"}
    shoot(pages.open("/queues", **admin), folder, "page-queues")
    shoot(pages.open("/queues/support", **admin), folder, "page-queue")
    agent = pages.open(f"/hosts/{HOST}?range=15m", viewport=PHONE, **operator)
    shoot(agent, folder, "page-host-phone")


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
        # Before hosts are there whose past comes all at once.
        shoot(pages.open("/about?range=15m", **operator), folder, "page-about", whole=True)
        shoot_the_rest(pages, host, folder, **operator)
        pages.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else IMAGES)
