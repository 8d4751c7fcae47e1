"""A task is one alert at PagerDuty, whatever happens on the way, and nobody is woken for less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.notifications import Templates
from forewarn_collector.queues import (
    DeliveryError,
    PagerDutyQueue,
    Queue,
    queues_from_section,
    queues_of_receivers,
)
from forewarn_collector.silencing import read_alertmanager_file
from forewarn_collector.tasks import Delivery, DeliveryAction
from forewarn_wire import Problem
from forewarn_wire.document import read_document
from support.deliveries import OPEN, OPEN_ID, RESOLVE, TASK
from support.pagerduty import ROUTING_KEY, FakePagerDuty, pagerduty
from support.trackers.faults import WRITES, Fault, When, faults_before

KEY = f"forewarn-{OPEN_ID}"


def update(reason: str, ref: str | None = KEY) -> Delivery:
    changed = replace(OPEN, action=DeliveryAction.UPDATE, revision=2, reason=reason, text=reason)
    return replace(changed, external_ref=ref, task=replace(TASK, severity="critical"))


def read(text: str, key: str = ROUTING_KEY) -> tuple[dict[str, Queue], list[str]]:
    problems: list[Problem] = []
    section = read_document(text, "queues.yml", problems)
    assert section is not None
    return queues_from_section(section, {"KEY": key}), [str(problem) for problem in problems]


def configured(url: str, more: str = "", key: str = ROUTING_KEY) -> PagerDutyQueue:
    section = f"p: {{kind: pagerduty, url: '{url}', routing_key: 'env:KEY', timeout: 1s{more}}}"
    queues, problems = read(section, key)
    assert problems == []
    assert isinstance(queues["p"], PagerDutyQueue)
    return queues["p"]


@pytest_asyncio.fixture
async def service() -> AsyncIterator[FakePagerDuty]:
    async with pagerduty() as fake:
        yield fake


@pytest_asyncio.fixture
async def queue(service: FakePagerDuty) -> AsyncIterator[PagerDutyQueue]:
    made = configured(service.url)
    yield made
    await made.close()


async def test_an_alert_says_what_is_wrong_where_and_since_when(
    service: FakePagerDuty, queue: PagerDutyQueue
) -> None:
    known = replace(OPEN, external_url="https://forewarn.example.org")
    assert await queue.deliver(known) == KEY
    [event] = service.events
    payload = event["payload"]
    assert payload["summary"] == "/ on a fills"
    assert (payload["source"], payload["severity"]) == ("a", "error")
    assert (payload["group"], payload["class"]) == ("acme", "DiskFull")
    # T0 is 2023-11-14 22:13:20 UTC; the onset was half a second before.
    assert payload["timestamp"] == "2023-11-14T22:13:19.500+00:00"
    details = payload["custom_details"]
    assert details["labels"] == {"alertname": "DiskFull", "instance": "a"}
    assert details["checklist"] == ["Find what grew"]
    assert "no space" in details["evidence"]
    page = "https://forewarn.example.org/tasks/FW-17"
    assert event["client_url"] == page
    assert event["links"] == [
        {"href": page, "text": "FW-17"},
        {"href": "https://example.org/runbooks/disk", "text": "Runbook"},
    ]
    assert event["images"][0]["src"] == "https://forewarn.example.org/api/tasks/FW-17/plot.svg"


async def test_a_task_is_one_alert_from_its_opening_to_its_end(
    service: FakePagerDuty, queue: PagerDutyQueue
) -> None:
    for delivery in (OPEN, OPEN, update("severity"), update("acknowledged"), update("comment")):
        await queue.deliver(delivery)
    assert service.alerts == {KEY: ["acknowledged"]}
    actions = [event["event_action"] for event in service.events]
    assert actions == ["trigger", "trigger", "trigger", "acknowledge"]
    assert service.events[2]["payload"]["severity"] == "critical"
    for _ in range(2):
        await queue.deliver(replace(RESOLVE, external_ref=KEY))
    assert service.alerts == {KEY: ["resolved"]}
    await queue.deliver(replace(OPEN, action=DeliveryAction.REOPEN, external_ref=KEY))
    assert service.alerts == {KEY: ["resolved", "triggered"]}


async def test_nobody_is_woken_for_a_remark_or_for_what_is_over(
    service: FakePagerDuty, queue: PagerDutyQueue
) -> None:
    await queue.deliver(OPEN)
    await queue.deliver(replace(RESOLVE, external_ref=KEY))
    for reason in ("comment", "assigned", "joined", "waiting", "quiet"):
        assert await queue.deliver(update(reason)) == KEY
    assert service.alerts == {KEY: ["resolved"]}
    late = replace(RESOLVE, task=replace(RESOLVE.task, retrospective=True), external_ref=None)
    assert await queue.deliver(late) is None
    assert len(service.events) == 2


async def test_a_later_revision_makes_the_alert_whose_first_event_was_refused(
    service: FakePagerDuty, queue: PagerDutyQueue
) -> None:
    assert await queue.deliver(update("acknowledged", None)) is None
    assert await queue.deliver(update("comment", None)) == KEY
    assert service.alerts == {KEY: ["triggered"]}


@pytest.mark.parametrize("when", list(When))
async def test_an_answer_that_is_lost_makes_no_second_alert(
    service: FakePagerDuty, when: When
) -> None:
    async with faults_before(lambda: service.url) as faults:
        queue = configured(faults.url)
        for fault in (
            Fault(when=when, methods=WRITES),
            Fault(status=502, when=when, methods=WRITES),
            Fault(hang=True, when=when, methods=WRITES),
        ):
            faults.plan(fault)
            with pytest.raises(DeliveryError) as caught:
                await queue.deliver(OPEN)
            assert not caught.value.permanent
            await queue.deliver(replace(OPEN, attempt=2))
        await queue.close()
    assert service.alerts == {KEY: ["triggered"]}


async def test_a_limit_holds_the_queue_and_a_bad_event_only_itself(
    service: FakePagerDuty, queue: PagerDutyQueue
) -> None:
    service.status, service.headers = 429, {"Retry-After": "120"}
    with pytest.raises(DeliveryError) as caught:
        await queue.deliver(OPEN)
    assert (caught.value.whole_queue, caught.value.retry_after) == (True, 120_000)
    service.status, service.headers = 400, {}
    with pytest.raises(DeliveryError) as caught:
        await queue.deliver(OPEN)
    assert (caught.value.permanent, caught.value.whole_queue) == (True, False)


async def test_a_key_that_is_refused_holds_the_queue_and_is_not_shown(
    service: FakePagerDuty,
) -> None:
    queue = configured(service.url, key="revoked-key")
    with pytest.raises(DeliveryError, match="integration key") as caught:
        await queue.deliver(OPEN)
    await queue.close()
    assert (caught.value.permanent, caught.value.whole_queue) == (False, True)
    assert "revoked-key" not in str(caught.value)


async def test_the_largest_task_stays_within_what_an_event_may_have(
    service: FakePagerDuty, queue: PagerDutyQueue
) -> None:
    wild = "\U0001f525\ud800" * 10_000
    lines = [{"time": 0, "type": "log", "severity": "error", "labels": {}, "body": wild}] * 50
    task = replace(
        TASK,
        title=wild,
        description=wild,
        labels=tuple((f"l{number}", wild) for number in range(200)),
        checklist=(wild,) * 200,
        evidence=({**TASK.evidence[0], "events": lines},),
    )
    await queue.deliver(replace(OPEN, task=task, text=wild))
    [event] = service.events
    # An emoji is 12 bytes of the event: 100 labels with 500 each are more than 512,000.
    assert "labels" not in event["payload"]["custom_details"]
    assert len(event["payload"]["summary"]) == 1_024


async def test_severities_are_set_by_configuration(service: FakePagerDuty) -> None:
    queue = configured(service.url, ", severity: {high: critical, minor: info}")
    for severity in ("high", "minor", "low", "unheard-of"):
        await queue.deliver(replace(OPEN, task=replace(TASK, severity=severity)))
    await queue.close()
    found = [event["payload"]["severity"] for event in service.events]
    assert found == ["critical", "info", "info", "error"]


@pytest.mark.parametrize("ends", [True, False])
async def test_a_receiver_of_an_alertmanager_file_is_such_a_queue(
    service: FakePagerDuty, ends: bool
) -> None:
    file = read_alertmanager_file(
        f"""
route: {{receiver: pager}}
receivers:
  - name: pager
    pagerduty_configs:
      - routing_key: {ROUTING_KEY}
        url: {service.url}/v2/enqueue
        send_resolved: {str(ends).lower()}
""",
        "am.yml",
    )
    queue = queues_of_receivers(file, Templates.default(), "https://fw.example.org")["pager"]
    await queue.deliver(OPEN)
    await queue.deliver(replace(RESOLVE, external_ref=KEY))
    await queue.close()
    assert service.alerts == {KEY: ["resolved" if ends else "triggered"]}


def test_mistakes_in_the_configuration_are_named() -> None:
    _, problems = read("""a: {kind: pagerduty}
b: {kind: pagerduty, routing_key: abc}
c: {kind: pagerduty, routing_key: 'env:KEY', severity: {high: urgent}}
d: {kind: pagerduty, routing_key: 'env:KEY', url: 'http://events.example.org'}
""")
    for said, problem in zip(
        (
            "queues.yml:1:4: routing_key_file is missing",
            "queues.yml:2:35: routing_key must not stand in the configuration itself",
            "queues.yml:3:56: severity: expected critical, error, warning, info, found 'urgent'",
            "queues.yml:4:51: the routing_key would travel in the clear",
        ),
        problems,
        strict=True,
    ):
        assert problem.startswith(said)
