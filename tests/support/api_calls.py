"""Calls of the Prometheus HTTP API, of ours or of Prometheus itself."""

from __future__ import annotations

import urllib.parse
from typing import Any

from support.servers import Answer, call


def ask(url: str, path: str, /, post: bool = False, **given: Any) -> Answer:
    """Call a path below /api/v1 with these parameters."""
    text = urllib.parse.urlencode(given, doseq=True)
    if post:
        return call(f"{url}/api/v1/{path}", text.encode(), method="POST")
    return call(f"{url}/api/v1/{path}?{text}")


def data(url: str, path: str, /, **given: Any) -> Any:
    """What such a call answers, which must be a success."""
    answer = ask(url, path, **given)
    assert answer.status == 200, answer.body
    return answer.json()["data"]
