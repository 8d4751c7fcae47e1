"""What a ticket and its remarks say of a task, for a person who has never heard of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from forewarn_collector.plots import render
from forewarn_collector.queues.pages import (
    Block,
    Checklist,
    Facts,
    Heading,
    Lines,
    Page,
    Paragraph,
)
from forewarn_collector.queues.tracker import Attachment
from forewarn_collector.tasks import Delivery, DeliveryAction, Task
from forewarn_collector.tasks.evidence_html import evidence_html
from forewarn_collector.tasks.evidence_plot import evidence_plot, suspicion
from forewarn_collector.tasks.evidence_text import earlier_end, evidence_lines
from forewarn_wire.durations import format_duration

_PAST = ("changes", "earlier")


def ticket_page(delivery: Delivery) -> Page:
    """The body of a new ticket: what, since when, how sure, what changed, last time, what to do."""
    return [*_head(delivery), *_changed(delivery.task), *_before(delivery.task), *_rest(delivery)]


def remark_page(delivery: Delivery) -> Page:
    """A later revision, as a remark."""
    said = f"{delivery.task.number} {delivery.action.value}: {delivery.text}"
    page: list[Block] = [Paragraph(said, strong=delivery.action is not DeliveryAction.UPDATE)]
    if delivery.task.evidence:
        page += _evidence(delivery, delivery.task.evidence)
    if delivery.action is not DeliveryAction.UPDATE and delivery.page_url:
        page.append(Paragraph(delivery.page_url))
    return page


def plot_file(delivery: Delivery) -> Attachment | None:
    """The plot of its evidence as a file, if there is any; one name for each revision."""
    task = delivery.task
    plot = evidence_plot(f"{task.number}: {task.title}", task.evidence)
    if plot is None:
        return None
    return Attachment(
        name=f"{task.number}-r{delivery.revision}.svg",
        content_type="image/svg+xml",
        content=render(plot).encode(),
    )


def _head(delivery: Delivery) -> Iterator[Block]:
    task = delivery.task
    yield Paragraph(task.title, strong=True)
    if task.description:
        yield Paragraph(task.description)
    if delivery.text and delivery.text not in (task.title, task.description):
        yield Paragraph(delivery.text)
    yield Facts(tuple((name, value) for name, value in _facts(delivery) if value))


def _facts(delivery: Delivery) -> Iterator[tuple[str, str]]:
    task = delivery.task
    yield "Severity", task.severity
    yield "Customer", task.customer
    yield "Service", task.service
    yield "Where", ", ".join(f"{name}={value}" for name, value in task.labels)
    yield "Since", _stamp(task.onset_at)
    yield "Noticed", _noticed(task)
    yield "How sure", _sureness(task)
    yield "Due", _stamp(task.due_at)
    yield "Rule", task.rule
    yield "Runbook", task.annotations.get("runbook_url", "")
    yield "Task", f"{task.number} {delivery.page_url}".strip()


def _noticed(task: Task) -> str:
    after = (task.opened_at - task.onset_at) // 1000 * 1000
    late = f" ({format_duration(after)} after the onset)" if after > 0 else ""
    return f"{_stamp(task.opened_at)}{late}"


def _sureness(task: Task) -> str:
    """What was measured, against what, and what is missing."""
    said = []
    values = next((each["values"] for each in task.evidence if each.get("values")), None)
    if values is not None and values["threshold"] is not None and task.value:
        said.append(f"measured {task.value}, fires at {values['operator']} {values['threshold']}")
    elif task.value:
        said.append(f"measured {task.value}")
    if values is not None and values["for"]:
        said.append(f"held for {format_duration(values['for'])}")
    if task.reopen_count:
        said.append(f"came back {task.reopen_count} times")
    if task.input_missing_since is not None:
        said.append(f"no data since {_stamp(task.input_missing_since)}")
    if task.retrospective:
        said.append("for the record: it was over before its data came")
    return "; ".join(said)


def _changed(task: Task) -> Iterator[Block]:
    lines = [
        f"{suspicion(each)}: {each['what']}"
        for document in task.evidence
        for each in document.get("changes", ())
    ]
    if lines:
        yield Heading("Changed before the onset (suspicions: none need be the cause)")
        yield Lines(tuple(dict.fromkeys(lines)))


def _before(task: Task) -> Iterator[Block]:
    lines = [
        line
        for document in task.evidence
        for each in document.get("earlier", ())
        for line in (
            f"{each['number']} {earlier_end(each)}",
            *(f"  {each[said]}" for said in ("text", "comment") if each[said]),
        )
    ]
    if lines:
        yield Heading("Last time")
        yield Lines(tuple(dict.fromkeys(lines)))


def _rest(delivery: Delivery) -> Iterator[Block]:
    if delivery.task.checklist:
        yield Heading("Checklist")
        yield Checklist(delivery.task.checklist)
    # What changed and what was last time stand above.
    yield from _evidence(delivery, [_without_past(each) for each in delivery.task.evidence])


def _without_past(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: part for name, part in document.items() if name not in _PAST}


def _evidence(delivery: Delivery, documents: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if not documents:
        return
    yield Heading("Evidence")
    if delivery.plot_url:
        yield Paragraph(f"Plot: {delivery.plot_url}")
    pages = f"{delivery.external_url}/tasks/" if delivery.external_url else None
    yield Lines(tuple(evidence_lines(documents)), evidence_html(documents, pages))


def _stamp(at: int | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
