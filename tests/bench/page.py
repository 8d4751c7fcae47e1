"""How long pages of 1,000 tasks and 10,000 hosts take: to be made, to show, to answer, to follow.

python tests/bench/page.py [TASKS [HOSTS]]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page

from support.browser import Pages, browsing
from support.crowd import crowd, fleet
from support.servers import RunningCollector, running_collector
from support.waiting import wait_until

READS = 10
LOOKS = 5
PAINT = """() => {
  const at = name => performance.getEntriesByName(name)[0]?.startTime;
  const [navigation] = performance.getEntriesByType("navigation");
  return [navigation.responseStart, at("first-contentful-paint"),
    navigation.domContentLoadedEventEnd, navigation.loadEventEnd];
}"""
# `j` goes to the next task, `/` to the search: both are keys of the list of tasks, one of others.
KEY = """key => new Promise(done => {
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
})"""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(collector: RunningCollector) -> float:
    """What the collector's process has used until now."""
    stat = Path(f"/proc/{collector.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / TICKS


def told(name: str, milliseconds: float) -> None:
    """Print a figure."""
    print(f"{name:18} {milliseconds:6.0f}")


def look(pages: Pages, collector: RunningCollector, path: str, key: str) -> Page:
    """Print how long one page takes; it is left open."""
    took, used = [], cpu_seconds(collector)
    for _ in range(READS):
        began = time.perf_counter()
        body = collector.get(path).body
        took.append(time.perf_counter() - began)
    used = cpu_seconds(collector) - used
    print(f"\n{path}: {len(body):,} bytes; of several runs the best, in ms:")
    told("answered after", min(took) * 1000)
    told("CPU of the server", used / READS * 1000)
    runs = []
    for _ in range(LOOKS):
        page = pages.open(path)
        page.locator("#live.on").wait_for()
        runs.append([*page.evaluate(PAINT), page.evaluate(KEY, key)])
        page.close()
    names = ("first byte", "first paint", "ready for keys", "loaded", "a key shows after")
    for name, values in zip(names, zip(*runs, strict=True), strict=True):
        told(name, min(values))
    page = pages.open(path)
    page.locator("#live.on").wait_for()
    return page


def look_at_tasks(pages: Pages, collector: RunningCollector, path: str) -> None:
    """A list of tasks, and how soon it shows that one of them was given to somebody."""
    page = look(pages, collector, path, "j")
    followed = []
    for place in range(LOOKS):
        number = page.locator("[data-rows] > tr").nth(place).get_attribute("data-key")
        text = f"seen {place} {path}"
        began = time.perf_counter()
        command = f"/api/tasks/{number}/assign"
        body = json.dumps({"assignee": text}).encode()
        collector.post(command, body, Content_Type="application/json")
        page.locator(f'tr[data-key="{number}"]', has_text=text).wait_for()
        followed.append(time.perf_counter() - began)
    told("a change shows", min(followed) * 1000)
    page.close()


def look_at_hosts(pages: Pages, collector: RunningCollector, hosts: int) -> None:
    """The fleet, how soon it shows a search, and how soon a host's new task."""
    page = look(pages, collector, "/hosts", "/")
    tiles = page.locator(".fleet a")
    assert tiles.count() == hosts
    began = time.perf_counter()
    page.get_by_label("Search").fill("shop-00")
    page.get_by_label("Search").press("Enter")
    page.locator(".fleet.named").first.wait_for()
    told("a search shows", (time.perf_counter() - began) * 1000)
    page.close()


def main(tasks: int, hosts: int) -> None:
    """Print it."""
    with (
        tempfile.TemporaryDirectory() as place,
        browsing() as browser,
        running_collector(Path(place), "--no-auth") as collector,
    ):
        crowd(collector, tasks)
        fleet(collector, hosts)
        wait_until("the hosts", lambda: collector.query(f"count(up) == {hosts}"))
        print(f"{tasks:,} tasks, {hosts:,} hosts")
        pages = Pages(browser, collector, {})
        for path in ("/", "/?rows=1000"):
            look_at_tasks(pages, collector, path)
        look_at_hosts(pages, collector, hosts)
        pages.close()


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*[*given, *(1_000, 10_000)[len(given) :]])
