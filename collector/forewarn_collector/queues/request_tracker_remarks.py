"""Lists of Request Tracker, and what people and we said of a ticket among them.

A remark is a transaction of its history, and its text an attachment of that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from forewarn_collector.queues.html_text import text_of_html
from forewarn_collector.queues.tracker import Comment
from forewarn_collector.queues.tracker_http import TrackerClient, told, told_at

MOST_LISTED = 1_000
NEWEST_FIRST = {"orderby": "id", "order": "DESC"}
_PER_PAGE = 100
_MOST_PAGES = 50
_AT_ONCE = 20
"""How many texts are fetched by one request."""
_MARKER = re.compile(r"\s*<!-- (forewarn-[A-Za-z0-9-]+) -->")


async def pages(
    client: TrackerClient, path: str, params: Mapping[str, str], types: Collection[str] = ()
) -> list[Mapping[str, Any]]:
    """A list from its beginning, of the types given; at most a thousand."""
    found: list[Mapping[str, Any]] = []
    for page in range(1, _MOST_PAGES + 1):
        items = (await client.get(path, {**params, **_page(page)})).items("items")
        found += [each for each in items if not types or told(each, "Type") in types]
        if len(items) < _PER_PAGE or len(found) >= MOST_LISTED:
            break
    return found[:MOST_LISTED]


def with_marker(body: str, marker: str) -> str:
    """A text of HTML with its marker before it, where no cut reaches it."""
    return f"<!-- {marker} -->\n{body}"


async def remarks(client: TrackerClient, ref: str) -> list[Comment]:
    """A ticket's comments and replies, the oldest first; at most the newest thousand."""
    history = await pages(
        client,
        f"/ticket/{ref}/history",
        {"fields": "Type,Creator,Created", **NEWEST_FIRST},
        ("Comment", "Correspond"),
    )
    attached = await pages(
        client,
        f"/ticket/{ref}/attachments",
        {"fields": "ContentType,Filename,TransactionId", **NEWEST_FIRST},
    )
    texts = await _texts(client, attached, {told(each, "id") for each in history})
    return [
        _comment(each, *texts[told(each, "id")])
        for each in reversed(history)
        if told(each, "id") in texts
    ]


async def _texts(
    client: TrackerClient, attached: Sequence[Mapping[str, Any]], of: Collection[str]
) -> Mapping[str, tuple[str, str]]:
    """The type and the text of each transaction that has one; plain text where it has both."""
    chosen: dict[str, tuple[str, str]] = {}
    for each in reversed(attached):
        transaction, kind = told(each, "TransactionId"), told(each, "ContentType")
        if transaction not in of or told(each, "Filename") or not kind.startswith("text/"):
            continue
        if transaction not in chosen or (kind == "text/plain" != chosen[transaction][1]):
            chosen[transaction] = (told(each, "id"), kind)
    contents: dict[str, str] = {}
    ids = [found for found, _ in chosen.values()]
    for start in range(0, len(ids), _AT_ONCE):
        wanted = [
            {"field": "id", "value": each, "entry_aggregator": "OR"}
            for each in ids[start : start + _AT_ONCE]
        ]
        params = {"query": json.dumps(wanted), "fields": "Content", **_page(1)}
        items = (await client.get("/attachments", params)).items("items")
        contents |= {told(each, "id"): told(each, "Content") for each in items}
    return {
        transaction: (kind, contents[found])
        for transaction, (found, kind) in chosen.items()
        if contents.get(found)
    }


def _comment(found: Mapping[str, Any], kind: str, content: str) -> Comment:
    marker = _MARKER.match(content)
    return Comment(
        id=told(found, "id"),
        who=told(found, "Creator", "id"),
        text=(text_of_html(content) if kind == "text/html" else content).strip(),
        at=told_at(found, "Created"),
        marker=marker.group(1) if marker else "",
    )


def _page(number: int) -> dict[str, str]:
    return {"per_page": str(_PER_PAGE), "page": str(number)}
