"""A real collector with a real Request Tracker and a real Redmine: both ways, from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.redmine import Redmine
from support.request_tracker import RequestTracker
from support.servers import RunningCollector, call, running_collector
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, write_body

CONFIG = """\
rules: [rules.yml]
default_queue: rt
queues:
  rt:
    kind: request_tracker
    url: {rt}
    token: file:rt.token
    queue: Support
    assignee: {{ann: ana}}
    hook_secret: file:hook
  redmine:
    kind: redmine
    url: {redmine}
    token: file:redmine.key
    project: support
    assignee: {{ann: Ana Test}}
    hook_secret: file:hook
"""
RULES = """\
groups:
  - name: real
    rules:
      - alert: DiskFills
        expr: disk_free < 1
        annotations: {summary: 'The disk of {{ $labels.instance }} fills'}
        task: {queue: rt, group_by: [instance]}
      - alert: LoadIsHigh
        expr: load > 5
        annotations: {summary: 'The load of {{ $labels.instance }} is high'}
        task: {queue: redmine, group_by: [instance]}
"""
STATES = ["open", "resolved"]


def write(collector: RunningCollector, disk_free: float, load: float) -> None:
    body = write_body({"disk_free": disk_free, "load": load}, int(time.time() * 1000), instance="a")
    answer = collector.post("/api/v1/write", body, **WRITE_HEADERS)
    assert answer.status == 204, answer.body


def task_of(collector: RunningCollector, rule: str) -> dict[str, Any]:
    [task] = collector.tasks(rule=rule, state=STATES)
    found: dict[str, Any] = collector.get(f"/api/tasks/{task['number']}").json()
    return found


def hooked(collector: RunningCollector, what: str, holds: Callable[[], bool]) -> None:
    """Wait for it, while both trackers call the hooks of their queues."""

    def ask() -> bool:
        for queue in ("rt", "redmine"):
            headers = {"Authorization": "Bearer called"}
            answer = call(f"{collector.url}/api/queues/{queue}/hook", b"{}", headers, "POST")
            assert answer.status == 202, answer.body
        return holds()

    # Fewer calls than a hook takes in a minute.
    wait_until(what, ask, 60, pause=0.6)


def test_problems_become_tickets_and_what_people_do_to_them_is_done_to_the_tasks(
    tmp_path: Path, request_tracker: RequestTracker, redmine: Redmine
) -> None:
    (tmp_path / "hook").write_text("called")
    (tmp_path / "rt.token").write_text(request_tracker.tokens["forewarn"])
    (tmp_path / "redmine.key").write_text(redmine.keys["forewarn"])
    (tmp_path / "rules.yml").write_text(RULES)
    config = tmp_path / "collector.yml"
    config.write_text(CONFIG.format(rt=request_tracker.url, redmine=redmine.url))
    [(last_ticket,)] = request_tracker.rows("SELECT coalesce(max(id), 0) FROM Tickets")
    [(last_issue,)] = redmine.rows("SELECT coalesce(max(id), 0) FROM issues")

    def tickets() -> list[tuple[Any, ...]]:
        sql = "SELECT id, Subject FROM Tickets WHERE id > ?"
        return request_tracker.rows(sql, last_ticket)

    def issues() -> list[tuple[Any, ...]]:
        return redmine.rows("SELECT id, subject FROM issues WHERE id > ?", last_issue)

    with running_collector(tmp_path, "--config", str(config)) as collector:
        write(collector, disk_free=0.5, load=9)
        wait_until("both have their tickets", lambda: tickets() and issues(), 60)
        [(ticket, subject)] = tickets()
        assert subject == "The disk of a fills"
        [(issue, subject)] = issues()
        assert subject == "The load of a is high"
        refs = {"DiskFills": ticket, "LoadIsHigh": issue}

        def noted(rule: str) -> list[str]:
            return [each["ref"] for each in task_of(collector, rule)["tickets"]]

        for rule, ref in refs.items():
            wait_until("its ticket is noted", lambda rule=rule: noted(rule))
            assert noted(rule) == [str(ref)]

        # A person takes both, says something and closes them, though the problems hold.
        said = {"Content": "Gone.", "ContentType": "text/plain"}
        for method, path, body in (
            ("PUT", f"/ticket/{ticket}", {"Owner": "ana"}),
            ("POST", f"/ticket/{ticket}/comment", said),
            ("PUT", f"/ticket/{ticket}", {"Status": "resolved"}),
        ):
            assert request_tracker.call("ana", method, path, body).status in {200, 201}
        [(ana,)] = redmine.rows("SELECT id FROM users WHERE login = 'ana'")
        for change in ({"assigned_to_id": ana, "notes": "Gone."}, {"status_id": 5}):
            answer = redmine.call("ana", "PUT", f"/issues/{issue}.json", {"issue": change})
            assert answer.status == 204

        def followed(rule: str) -> bool:
            task = task_of(collector, rule)
            texts = [e["text"] for e in task["timeline"] if e["who"] == f"ann ({task['queue']})"]
            heard = any("Gone." in text for text in texts)
            return heard and (task["assignee"], task["state"]) == ("ann", "resolved")

        hooked(collector, "the tasks follow", lambda: all(followed(rule) for rule in refs))

        def told() -> list[int]:
            """How often each ticket says that the problem goes on."""
            comments = (
                "SELECT a.id FROM Attachments a JOIN Transactions x ON x.id = TransactionId"
                " WHERE x.ObjectId = ? AND x.Type = 'Comment' AND a.Content LIKE ?"
            )
            notes = "SELECT id FROM journals WHERE journalized_id = ? AND notes LIKE ?"
            again = "%opens it again%"
            return [
                len(request_tracker.rows(comments, ticket, again)),
                len(redmine.rows(notes, issue, again)),
            ]

        wait_until("she is told that they hold", lambda: all(told()), 60)
        assert told() == [1, 1]
        assert len(tickets()) == len(issues()) == 1
        assert request_tracker.ticket(str(ticket))["Status"] == "resolved"
        assert redmine.issue(str(issue))["status"]["name"] == "Closed"
        metrics = collector.get("/metrics").body.decode()
        assert request_tracker.tokens["forewarn"] not in metrics + collector.output
        assert redmine.keys["forewarn"] not in metrics + collector.output
