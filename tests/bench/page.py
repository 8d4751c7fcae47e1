"""How long the list of 1,000 tasks takes: to be made, to show, to answer a key, to follow a change.

python tests/bench/page.py [TASKS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.browser import Pages, browsing
from support.crowd import crowd
from support.servers import RunningCollector, running_collector

PAINT = """() => {
  const at = name => performance.getEntriesByName(name)[0]?.startTime;
  const [navigation] = performance.getEntriesByType("navigation");
  return [navigation.responseStart, at("first-contentful-paint"),
    navigation.domContentLoadedEventEnd, navigation.loadEventEnd];
}"""
KEY = """() => new Promise(done => {
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
})"""


def look(pages: Pages, collector: RunningCollector, path: str) -> None:
    """Print how long one page takes."""
    took = []
    for _ in range(10):
        began = time.perf_counter()
        body = collector.get(path).body
        took.append(time.perf_counter() - began)
    print(f"\n{path}: {len(body):,} bytes; of several runs the best, in ms:")
    print(f"{'answered after':18} {min(took) * 1000:6.0f}")
    runs = []
    for _ in range(5):
        page = pages.open(path)
        page.locator("#live.on").wait_for()
        runs.append([*page.evaluate(PAINT), page.evaluate(KEY)])
        page.close()
    names = ("first byte", "first paint", "ready for keys", "loaded", "a key shows after")
    for name, values in zip(names, zip(*runs, strict=True), strict=True):
        print(f"{name:18} {min(values):6.0f}")
    page = pages.open(path)
    page.locator("#live.on").wait_for()
    followed = []
    for place in range(5):
        number = page.locator("[data-rows] > tr").nth(place).get_attribute("data-key")
        text = f"seen {place} {path}"
        began = time.perf_counter()
        command = f"/api/tasks/{number}/assign"
        body = json.dumps({"assignee": text}).encode()
        collector.post(command, body, Content_Type="application/json")
        page.locator(f'tr[data-key="{number}"]', has_text=text).wait_for()
        followed.append(time.perf_counter() - began)
    print(f"{'a change shows':18} {min(followed) * 1000:6.0f}")
    page.close()


def main(tasks: int) -> None:
    """Print it."""
    with (
        tempfile.TemporaryDirectory() as place,
        browsing() as browser,
        running_collector(Path(place), "--no-auth") as collector,
    ):
        crowd(collector, tasks)
        print(f"{tasks} tasks")
        pages = Pages(browser, collector, {})
        for path in ("/", "/?rows=1000"):
            look(pages, collector, path)
        pages.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000)
