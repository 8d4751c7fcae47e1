"""What a message tells of a delivery: the same as text and as HTML, and a plot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from markupsafe import Markup

from forewarn_collector.plots import render
from forewarn_collector.tasks import Delivery
from forewarn_collector.tasks.evidence_html import evidence_html
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_collector.tasks.evidence_text import evidence_lines

_STYLE = (
    "body{font:14px/1.5 sans-serif}table{border-collapse:collapse}"
    "th,td{text-align:left;vertical-align:top;padding:2px 12px 2px 0}"
    ".quiet{color:#666}h4{margin:12px 0 2px}img{max-width:100%}"
)


def letter_text(delivery: Delivery) -> str:
    """The delivery as lines of text."""
    return _sendable("\n".join(_lines(delivery)) + "\n")


def letter_html(delivery: Delivery, image: str | None) -> str:
    """The delivery as a page; `image` is the address of its plot."""
    task = delivery.task
    parts = [
        Markup("<h2>{}: {}</h2>").format(task.number, task.title),
        Markup("<p><b>{}</b>: {}</p>").format(delivery.action.value, delivery.text),
    ]
    if task.description:
        parts.append(Markup("<p>{}</p>").format(task.description))
    rows = (
        Markup("<tr><th>{}</th><td>{}</td></tr>").format(name, _linked(value))
        for name, value in _fields(delivery)
    )
    parts.append(Markup("<table>\n{}\n</table>").format(Markup("\n").join(rows)))
    if task.checklist:
        items = Markup("").join(Markup("<li>{}</li>").format(item) for item in task.checklist)
        parts.append(Markup("<h3>Checklist</h3><ol>{}</ol>").format(items))
    if task.evidence:
        parts.append(Markup("<h3>Evidence</h3>"))
        if image is not None:
            text = f"Plot: see {plot_name(delivery)}, attached"
            parts.append(Markup('<p><img src="{}" alt="{}"></p>').format(image, text))
        pages = f"{delivery.external_url}/tasks/" if delivery.external_url else None
        parts.append(evidence_html(task.evidence, pages))
    page = Markup(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><style>{}</style></head>\n'
        "<body>\n{}\n</body></html>\n"
    )
    return _sendable(page.format(Markup(_STYLE), Markup("\n").join(parts)))  # noqa: S704 - our own text


def letter_plot(delivery: Delivery) -> str | None:
    """The plot of its evidence as SVG, if there is any."""
    plot = evidence_plot(f"{delivery.task.number}: {delivery.task.title}", delivery.task.evidence)
    return None if plot is None else render(plot)


def plot_name(delivery: Delivery) -> str:
    """The name of the plot's file."""
    return f"{delivery.task.number}.svg"


def _lines(delivery: Delivery) -> Iterator[str]:
    task = delivery.task
    yield f"{task.number}: {task.title}"
    yield f"{delivery.action.value}: {delivery.text}"
    if task.description:
        yield from ("", task.description)
    yield ""
    for name, value in _fields(delivery):
        yield f"{name + ':':<9} {value}"
    if task.checklist:
        yield from ("", "Checklist:", *(f"[ ] {item}" for item in task.checklist))
    if task.evidence:
        yield from ("", "Evidence:", *evidence_lines(task.evidence))


def _fields(delivery: Delivery) -> list[tuple[str, str]]:
    task = delivery.task
    late = " (for the record: it was over before its data came)" if task.retrospective else ""
    labels = ", ".join(f"{name}={value}" for name, value in task.labels)
    found = [
        ("Severity", task.severity),
        ("Kind", task.kind),
        ("Customer", task.customer),
        ("Onset", _stamp(task.onset_at)),
        ("Opened", _stamp(task.opened_at)),
        ("Due", _stamp(task.due_at)),
        ("Resolved", _stamp(task.resolved_at)),
        ("Rule", task.rule),
        ("Value", task.value),
        ("Runbook", task.annotations.get("runbook_url", "")),
        ("Page", delivery.page_url),
    ]
    state = ("State", f"{task.state.value}{late}")
    return [state, *((name, value) for name, value in found if value), ("Labels", labels)]


def _linked(value: str) -> str:
    """A web address as a link, and all else as it is."""
    if not value.startswith(("https://", "http://")):
        return value
    return Markup('<a href="{}">{}</a>').format(value, value)


def _sendable(text: str) -> str:
    """Text without half characters, which a label may have and no message can."""
    return text.encode("utf-8", "replace").decode()


def _stamp(at: int | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
