"""How long the list of 1,000 tasks takes: to be made, to show, to answer a key, to follow a change.

python tests/bench/page.py [TASKS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.browser import Pages, browsing
from support.crowd import crowd
from support.servers import running_collector

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


def main(tasks: int) -> None:
    """Print it."""
    with (
        tempfile.TemporaryDirectory() as place,
        browsing() as browser,
        running_collector(Path(place), "--no-auth") as collector,
    ):
        for _ in range(0, tasks, 1_000):
            crowd(collector, tasks)
        path = "/?rows=1000"
        took = []
        for _ in range(10):
            began = time.perf_counter()
            body = collector.get(path).body
            took.append(time.perf_counter() - began)
        print(f"{tasks} tasks, {len(body):,} bytes of HTML")
        print(f"the collector answers in {min(took) * 1000:.0f} ms (of 10, the best)")
        pages = Pages(browser, collector, {})
        runs = []
        for _ in range(5):
            page = pages.open(path)
            page.locator("#live.on").wait_for()
            runs.append([*page.evaluate(PAINT), page.evaluate(KEY)])
            page.close()
        names = ("first byte", "first paint", "ready for keys", "loaded", "a key shows after")
        for name, values in zip(names, zip(*runs, strict=True), strict=True):
            print(f"{name:18} {min(values):6.0f} ms (of 5, the best)")
        page = pages.open(path)
        page.locator("#live.on").wait_for()
        number = collector.tasks(limit="1", sort="urgency")[0]["number"]
        began = time.perf_counter()
        collector.post(f"/api/tasks/{number}/acknowledge", b"{}", Content_Type="application/json")
        page.locator(f'tr[data-key="{number}"]', has_text="acknowledged").wait_for()
        print(f"a change shows after {(time.perf_counter() - began) * 1000:.0f} ms")
        pages.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000)
