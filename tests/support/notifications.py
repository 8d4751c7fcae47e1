"""Notifications that tests tell of, and what Debian's amtool makes of templates about them."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

from forewarn_collector.notifications import Notification, NotifiedAlert

FIRING = NotifiedAlert(
    labels=(
        ("alertname", "DiskFull"),
        ("instance", "web1:9100"),
        ("mountpoint", "/var"),
        ("severity", "high"),
    ),
    annotations=(
        ("description", 'Only 3 % left, "soon" <full> & it\'s late\nsecond line'),
        ("summary", "/var on web1 is full"),
    ),
    starts_at=1_700_000_000_123,
    generator_url="https://prom.example.org/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
    fingerprint="0123456789abcdef",
)
RESOLVED = NotifiedAlert(
    labels=(
        ("alertname", "DiskFull"),
        ("instance", "web2:9100"),
        ("mountpoint", "/var"),
        ("severity", "high"),
        ("ünit", "größer"),
    ),
    annotations=(("runbook_url", "javascript:alert(1)"), ("summary", "/var on web2 is full")),
    starts_at=1_699_990_000_000,
    ends_at=1_700_000_060_000,
    fingerprint="fedcba9876543210",
)
NOTIFICATION = Notification(
    receiver="team <x> & co",
    alerts=(FIRING, RESOLVED),
    group_labels=(("alertname", "DiskFull"), ("severity", "high")),
    external_url="https://forewarn.example.org/a b",
)


def give_amtool(folder: Path, files: dict[str, str]) -> None:
    """Write what `amtool` reads: template files, and the data of `NOTIFICATION`."""
    document = json.dumps(NOTIFICATION.to_json())
    for name, content in (files | {"data.json": document}).items():
        (folder / name).write_text(content, encoding="utf-8")


def amtool(folder: Path, text: str, kind: str) -> tuple[str, str]:
    """What `amtool template render` prints of a text or html, and its error if any."""
    done = subprocess.run(
        [
            "amtool",
            "template",
            "render",
            f"--template.glob={folder}/*.tmpl",
            f"--template.text={text}",
            f"--template.type={kind}",
            f"--template.data={folder}/data.json",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        encoding="utf-8",
    )
    return done.stdout, done.stderr


_PIECES = [
    *("<p>", "</p>", "</td>", "<br/>", "<p/>", "<!DOCTYPE html>", "<style>b{}</style>"),
    *("<title>", "</title>", "<textarea>", "</textarea>", "<!--", "-->", "<", "</", "<1", "/"),
    *('<a href="', "<a title='", "<A HREF='", "<b ", "<img src=", '<td class="', "<td\n"),
    *("width=", '<x-y z="', 'style="color:', '"', "'", "=", ">", '">', "'>", "&", " ", "\n", ";"),
    *("https://x/", "?q=", "#", "text", "a b"),
    *("{{ .Receiver }}", "{{ .ExternalURL }}", "{{ .Status }}", "{{ len .Alerts }}", '{{ "" }}'),
    "{{ (index .Alerts 0).Annotations.description }}",
    '{{ safeHtml "<i>x</i>" }}',
]
_ENDS = ["", '">y', "'>y", "-->", ">", "</title>", "</textarea>y", '">z</title>']


def random_pages(seed: int, count: int) -> list[str]:
    """Pages of pieces of HTML in any order, of which about half are none."""
    draw = random.Random(seed)
    return [
        "".join((*draw.choices(_PIECES, k=draw.randint(2, 8)), draw.choice(_ENDS)))
        for _ in range(count)
    ]
