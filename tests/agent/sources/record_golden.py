"""Write `expected.prom` of each golden case anew: what Debian's node_exporter reads in its tree.

Run by hand: `.venv/bin/python tests/agent/sources/record_golden.py`. A case is a folder with
`proc/`, `sys/` and `udev/`, as on a host; only families that can be read from files are in it.
"""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

GOLDEN = Path(__file__).with_name("golden")
COLLECTORS = (
    *("stat", "cpu", "loadavg", "meminfo", "vmstat", "diskstats", "netdev", "netclass", "filefd"),
    *("conntrack", "entropy", "pressure", "sockstat", "netstat", "processes"),
)
ADDRESS = "127.0.0.1:19215"


def record(case: Path) -> None:
    """Run node_exporter on the case's tree and keep its samples, sorted."""
    process = subprocess.Popen(
        [
            "prometheus-node-exporter",
            f"--web.listen-address={ADDRESS}",
            "--web.disable-exporter-metrics",
            f"--path.procfs={case / 'proc'}",
            f"--path.sysfs={case / 'sys'}",
            f"--path.udev.data={case / 'udev'}",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in COLLECTORS),
            "--collector.netdev.device-exclude=",
            # Netlink would tell of this host instead of the tree.
            "--no-collector.netdev.netlink",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        text = scrape()
    finally:
        process.terminate()
        process.wait()
    lines = [line for line in text.splitlines() if not line.startswith(("#", "node_scrape_"))]
    (case / "expected.prom").write_text("\n".join(sorted(lines)) + "\n")


def scrape() -> str:
    """The samples, once the exporter is up."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://{ADDRESS}/metrics") as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            time.sleep(0.05)
    raise SystemExit("node_exporter did not answer")


if __name__ == "__main__":
    for folder in sorted(GOLDEN.iterdir()):
        record(folder)
        print(folder.name)
