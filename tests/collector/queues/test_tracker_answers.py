"""Any answer of a tracker is a result or our error: true ones with something replaced or lost."""

from __future__ import annotations

import contextlib
import copy
import json
from random import Random
from typing import Any

import pytest

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome
from support.deliveries import OPEN, OPEN_ID, TASK
from support.trackers import STAGES
from support.trackers.stage import Stage

_STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e300, "", "x", "#", "2023-99-99", [], {}, [None], [[]], ["x"], [{}]),
    *({"x": 1}, {"name": None}, {"key": []}, "9" * 5_000, "\x00", "a/b#c"),
)


def garbled(body: bytes, random: Random) -> bytes:
    """A JSON body with one or two of its values replaced by something strange, or gone."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    for _ in range(random.randint(1, 2)):
        places = list(_places(document))
        if not places:
            return json.dumps(random.choice(_STRANGE)).encode()
        holder, key = random.choice(places)
        if random.random() < 0.3:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(random.choice(_STRANGE))
    return json.dumps(document).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: what holds it, and by which name or number."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    else:
        keys = list(range(len(value))) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


async def everything(stage: Stage, ref: str) -> None:
    """Each call, with whatever answers come."""
    tracker = stage.tracker
    fields = stage.queue.settings.fields(TASK, tracker.longest_title)
    for call in (
        lambda: tracker.find(marker_of(OPEN_ID), fields.project, 0),
        lambda: tracker.create(fields, "text", marker_of("9" * 8)),
        lambda: tracker.change(ref, fields, ("priority", "labels", "due_at", "assignee")),
        lambda: tracker.comment(ref, "text", marker_of("8" * 8)),
        lambda: tracker.comments(ref),
        lambda: tracker.read(ref),
        lambda: tracker.changed(0, [ref]),
        lambda: tracker.resolve(ref, Outcome.FIXED),
        lambda: tracker.reopen(ref),
        lambda: tracker.check(fields.project),
        lambda: stage.queue.deliver(OPEN),
    ):
        with contextlib.suppress(DeliveryError):
            await call()


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(
    "kind", ["github", "gitlab", "jira", "jira-server", "zendesk", "servicenow"]
)
async def test_any_answer_is_a_result_or_our_error(kind: str, seed: int) -> None:
    random = Random(f"{kind} {seed}")
    async with STAGES[kind]() as stage:
        ref = await stage.queue.deliver(OPEN)
        assert ref is not None
        stage.faults.garble = lambda body: garbled(body, random)
        await everything(stage, ref)
