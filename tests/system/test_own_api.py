"""Our own API of a real collector: pages, versions, keys, the stream, and its description."""

from __future__ import annotations

import concurrent.futures
import json
import time
import uuid
from typing import Any

import pytest

from forewarn_collector.tasks import TaskState
from support.servers import Answer, call
from support.two_customers import ACME, BRAVO, TwoCustomers
from support.waiting import wait_until


def get(world: TwoCustomers, path: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.call("admin", "GET", path, None, named)


def post(world: TwoCustomers, path: str, body: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.call("admin", "POST", path, body, named)


def timeline(world: TwoCustomers, task: str) -> list[str]:
    return [entry["text"] for entry in get(world, f"/api/tasks/{task}").json()["timeline"]]


def test_pages_of_a_list_have_every_task_once_in_each_order(world: TwoCustomers) -> None:
    times = ("opened_at", "-opened_at", "onset_at", "-onset_at", "due_at")
    orders = ("standing", *times, "severity", "urgency")
    everything = {task["number"] for task in get(world, "/api/tasks").json()["tasks"]}
    assert len(everything) == 4
    for order in orders:
        found: list[str] = []
        cursor = ""
        while True:
            page = get(world, f"/api/tasks?sort={order}&limit=1&cursor={cursor}").json()
            assert page["total"] == 4
            found += [task["number"] for task in page["tasks"]]
            cursor = page["next"]
            if not cursor:
                break
        assert sorted(found) == sorted(everything), order
    worst = get(world, "/api/tasks?sort=severity").json()["tasks"]
    assert [task["severity"] for task in worst] == ["high", "high", "", ""]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sort=worst", "sort: expected one of standing, opened_at"),
        ("cursor=x", "cursor: this is no cursor"),
        ("limit=0", "limit: expected 1 to 1000"),
        ("since=yesterday&limit=x", "limit: expected a whole number"),
        ("severity=high&severity=low", "severity: it is there more than once"),
        ("color=red", "color: there is no such field; there are state, severity"),
        ("text=a%00b", "text: expected"),
    ],
)
def test_what_a_list_cannot_admit_is_named(world: TwoCustomers, query: str, said: str) -> None:
    answer = get(world, f"/api/tasks?{query}")
    assert answer.status == 400
    assert said in answer.json()["error"]


def test_a_list_is_filtered_by_time_and_assignee(world: TwoCustomers) -> None:
    task = get(world, f"/api/tasks/{world.tasks[BRAVO]}").json()
    at = task["opened_at"]
    later = get(world, f"/api/tasks?customer={BRAVO}&rule=Broken&since={at + 1}").json()
    then = get(world, f"/api/tasks?customer={BRAVO}&rule=Broken&since={at}&until={at + 1}").json()
    assert (later["total"], then["total"]) == (0, 1)
    post(world, f"/api/tasks/{world.tasks[BRAVO]}/assign", {"assignee": "bob", "who": "ann"})
    found = get(world, "/api/tasks?assignee=bob").json()["tasks"]
    assert [task["number"] for task in found] == [world.tasks[BRAVO]]


def test_a_task_that_has_not_changed_is_not_sent_again(world: TwoCustomers) -> None:
    path = f"/api/tasks/{world.tasks[ACME]}"
    world.settled(world.tasks[ACME])
    first = get(world, path)
    tag = first.headers["ETag"]
    again = get(world, path, If_None_Match=f'"other", W/{tag}')
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    post(world, f"{path}/comment", {"text": "news"})
    changed = get(world, path, If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_a_command_for_a_task_that_has_changed_is_refused(world: TwoCustomers) -> None:
    path = f"/api/tasks/{world.tasks[ACME]}"
    world.settled(world.tasks[ACME])
    seen = get(world, path).headers["ETag"]
    assert post(world, f"{path}/comment", {"text": "first"}, If_Match=seen).status == 200
    late = post(world, f"{path}/comment", {"text": "second"}, If_Match=seen)
    assert late.status == 412
    assert "has changed since" in late.json()["error"]
    assert not any("second" in text for text in timeline(world, world.tasks[ACME]))
    assert post(world, f"{path}/comment", {"text": "third"}, If_Match="*").status == 200


def test_a_command_with_a_key_is_carried_out_once(world: TwoCustomers) -> None:
    task = world.tasks[ACME]
    path, key = f"/api/tasks/{task}/comment", str(uuid.uuid4())

    def say(_: int) -> Answer:
        return post(world, path, {"text": f"once {key}"}, Idempotency_Key=key)

    with concurrent.futures.ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(say, range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert sum(answer.headers.get("Idempotency-Replayed") == "true" for answer in answers) == 7
    assert sum(key in text for text in timeline(world, task)) == 1
    other = post(world, path, {"text": "something else"}, Idempotency_Key=key)
    assert other.status == 422
    assert "came with another request" in other.json()["error"]
    # Keys are each sender's own.
    mine = world.call(f"operator {ACME}", "POST", path, {"text": key}, {"Idempotency-Key": key})
    assert mine.status == 200


def test_a_silence_with_a_key_is_made_once_and_ends(world: TwoCustomers) -> None:
    body = {
        "matchers": ['alertname="Nothing"', 'instance=~"db.*"'],
        "ends_at": 4_000_000_000_000,
        "comment": "new disks",
        "who": "ann",
    }
    key = str(uuid.uuid4())
    first, second = (post(world, "/api/silences", body, Idempotency_Key=key) for _ in range(2))
    assert first.status == 200, first.body
    assert first.json() == second.json()
    silence = first.json()
    assert (silence["state"], silence["created_by"]) == ("active", "ann")
    assert silence["matchers"] == body["matchers"]
    # As Alertmanager's API shows the same one.
    shown = get(world, f"/api/v2/silence/{silence['id']}").json()
    assert [matcher["value"] for matcher in shown["matchers"]] == ["Nothing", "db.*"]
    ended = post(world, f"/api/silences/{silence['id']}/expire", {})
    assert ended.json()["state"] == "expired"
    active = get(world, "/api/silences?state=active").json()["silences"]
    assert silence["id"] not in [each["id"] for each in active]
    entries = get(world, f"/api/audit?of={silence['id']}").json()["entries"]
    assert [(each["action"], each["who"], each["role"]) for each in entries] == [
        ("silence expired", "admin-all", "admin"),
        ("silence created", "ann", "admin"),
    ]
    assert {each["detail"]["token"] for each in entries} == {"admin-all"}


def test_a_customers_silence_is_of_its_own_alerts(world: TwoCustomers) -> None:
    body = {"matchers": ["alertname=X"], "ends_at": 4_000_000_000_000, "comment": "a test"}
    own = world.call(f"operator {ACME}", "POST", "/api/silences", body).json()
    assert own["matchers"] == ['alertname="X"', 'customer="acme"']
    wide = {**body, "matchers": ['customer=~".*"', "alertname=X"]}
    answer = world.call(f"operator {ACME}", "POST", "/api/silences", wide)
    assert answer.status == 400
    assert "customer=acme and no other" in answer.json()["error"]


def test_every_command_of_a_task_over_http(world: TwoCustomers) -> None:
    number = get(world, f"/api/tasks?customer={BRAVO}&rule={BRAVO}-alert").json()["tasks"][0][
        "number"
    ]
    story: list[tuple[str, dict[str, Any], TaskState]] = [
        ("acknowledge", {"text": "I saw it"}, TaskState.ACKNOWLEDGED),
        ("start", {"text": "on it"}, TaskState.IN_PROGRESS),
        ("wait", {"until": 4_000_000_000_000, "text": "for parts"}, TaskState.WAITING),
        ("assign", {"assignee": "bob"}, TaskState.WAITING),
        ("resolve", {"text": "mended"}, TaskState.RESOLVED),
        ("reopen", {"text": "not quite"}, TaskState.OPEN),
        ("close", {"reason": "no_action", "text": "gone"}, TaskState.CLOSED),
    ]
    for verb, body, state in story:
        answer = post(world, f"/api/tasks/{number}/{verb}", {**body, "who": "ann"})
        assert answer.status == 200, answer.body
        assert answer.json()["state"] == state.value
    refused = post(world, f"/api/tasks/{number}/acknowledge", {})
    assert refused.status == 409
    entries = get(world, f"/api/audit?of={number}&who=ann&limit=3").json()
    assert [each["action"] for each in entries["entries"]] == ["closed", "reopened", "resolved"]
    more = get(world, f"/api/audit?of={number}&who=ann&cursor={entries['next']}").json()
    assert len(more["entries"]) == 4


def test_what_makes_no_sense_in_any_state_is_a_bad_request(world: TwoCustomers) -> None:
    path = f"/api/tasks/{world.tasks[ACME]}"
    for verb, body, said in (
        ("close", {"reason": "duplicate"}, "say both, or neither"),
        ("close", {"reason": "fixed", "duplicate_of": "FW-1"}, "say both, or neither"),
        ("wait", {"until": 1_600_000_000_000}, "it can't wait until 2020-09-13 12:26 UTC"),
    ):
        answer = post(world, f"{path}/{verb}", body)
        assert (answer.status, said in answer.json()["error"]) == (400, True), answer.body


def test_what_is_over_when_it_is_sent_again_is_answered_as_it_was_then(
    world: TwoCustomers,
) -> None:
    number = world.tasks[BRAVO]
    until = int(time.time() * 1000) + 1_000
    silence = {"matchers": ["alertname=Nothing"], "ends_at": until, "comment": "a second"}
    given = (
        (f"/api/tasks/{number}/wait", {"until": until}),
        ("/api/silences", silence),
    )
    first = [post(world, *each, Idempotency_Key="in-time") for each in given]
    assert [answer.status for answer in first] == [200, 422], "a key is for one request"
    first[1] = post(world, *given[1], Idempotency_Key="in-time-too")
    wait_until("it is over", lambda: time.time() * 1000 > until)
    again = [
        post(world, *each, Idempotency_Key=key)
        for each, key in zip(given, ("in-time", "in-time-too"), strict=True)
    ]
    assert [(each.status, each.body) for each in again] == [(200, each.body) for each in first]
    assert post(world, *given[1]).status == 400
    post(world, f"/api/tasks/{number}/reopen", {})


def test_every_error_below_api_is_of_one_form(world: TwoCustomers) -> None:
    url = world.collector.url
    wrong = {"Authorization": "Bearer wrong"}
    json_type = {"Content-Type": "application/json"}
    viewer = {"Authorization": f"Bearer {world.tokens['viewer']}"}
    for status, said, answer in (
        (401, "no token; send", call(f"{url}/api/tasks")),
        (401, "a wrong token; send", call(f"{url}/api/tasks/FW-1", None, wrong)),
        (403, "needs the role", call(f"{url}/api/audit", None, viewer)),
        (403, "needs the role", call(f"{url}/api/silences", b"{}", viewer | json_type, "POST")),
        (403, "another site", call(f"{url}/api/tasks", b"", {"Origin": "http://x"}, "POST")),
        (404, "there is no /api/nothing here", get(world, "/api/nothing")),
        (405, "/api/audit takes GET or HEAD, not PUT", world.call("admin", "PUT", "/api/audit")),
    ):
        assert answer.status == status, answer.body
        assert answer.headers["Content-Type"].startswith("application/json")
        assert list(answer.json()) == ["error"]
        assert said in answer.json()["error"]
        assert answer.json()["error"] == answer.json()["error"].strip()
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    # Prometheus' paths have Prometheus' form, Alertmanager's have theirs.
    missing = get(world, "/api/v1/nothing").json()
    assert missing["errorType"] == "not_found"
    assert call(f"{url}/api/v1/query?query=1").headers["Content-Type"].startswith("text/plain")


def test_the_stream_goes_on_where_a_client_was_cut_off(world: TwoCustomers) -> None:
    task = world.tasks[ACME]

    def place(event: bytes) -> int:
        return int(event.partition(b"id: ")[2].split(b"\n")[0])

    first = world.follow(f"viewer {ACME}", 0, 1)[0]
    assert json.loads(first.partition(b"data: ")[2])["task"]["customer"] == ACME
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        world.settled(task)
        last = world.place("viewer")
        told = reader.submit(world.follow, f"viewer {ACME}", last, 1)
        wait_until(
            "the stream is followed",
            lambda: b"forewarn_task_streams 1.0" in get(world, "/metrics").body,
        )
        text = f"told {uuid.uuid4()}"
        post(world, f"/api/tasks/{task}/comment", {"text": text})
        events = [told.result()[0]]
        while text.encode() not in events[-1]:
            events += world.follow(f"viewer {ACME}", place(events[-1]), 1)
    assert [place(event) for event in events] == sorted({place(event) for event in events})
    assert b"event: comment\n" in events[-1]
    # Cut off now, a client misses nothing.
    again = world.follow(f"viewer {ACME}", place(events[-1]) - 1, 1)
    assert text.encode() in again[0]


def test_queues_tell_what_they_are_owed(world: TwoCustomers) -> None:
    world.settled(world.tasks[ACME])
    (queue,) = get(world, "/api/queues").json()["queues"]
    counts = (queue["name"], queue["configured"], queue["owed"], queue["failed"], queue["dead"])
    assert counts == ("support", True, 0, 0, 0)
    path = "/api/queues/support/deliveries"
    found: list[dict[str, Any]] = []
    cursor: int | None = 0
    while cursor is not None:
        page = get(world, f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
        found += page["deliveries"]
        cursor = page["next"]
    assert len({each["id"] for each in found}) == len(found) == queue["delivered"]
    assert {each["state"] for each in found} == {"delivered"}
    assert get(world, f"{path}?state=dead").json() == {"deliveries": [], "next": None}
    alive = post(world, f"{path}/{found[0]['id']}/revive", {})
    assert alive.status == 409
    assert "only these can be revived" in alive.json()["error"]
    answer = get(world, "/api/queues/nowhere/deliveries")
    assert answer.status == 404
    assert "there is no queue nowhere" in answer.json()["error"]
