"""The pages of docs/queues/: their samples can be used as they are, their tickets are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from forewarn_collector.queues import TRACKERS, queues_from_section
from forewarn_collector.queues.chat import message_of
from forewarn_collector.queues.letter import letter_text
from forewarn_collector.queues.pagerduty import details_of
from forewarn_collector.queues.webhook import encode_delivery
from forewarn_wire import Problem
from forewarn_wire.document import read_document
from support.example_ticket import EXAMPLE
from support.trackers import STAGES

PAGES = Path(__file__).parents[3] / "docs" / "queues"
_SAMPLE = re.compile(r"^```yaml\n(queues:\n.*?)^```$", re.MULTILINE | re.DOTALL)
_SECRETS = "/etc/forewarn/secrets"


def test_every_ticket_system_of_these_pages_is_one() -> None:
    kinds = {page.stem for page in PAGES.glob("*.md")}
    assert kinds >= {"github", "gitlab", "jira", "redmine", "request_tracker"}


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: str(page.stem))
def test_the_samples_of_a_page_can_be_used(page: Path, tmp_path: Path) -> None:
    samples = _SAMPLE.findall(page.read_text())
    assert samples
    for sample in samples:
        for name in re.findall(rf"{_SECRETS}/([\w.-]+)", sample):
            (tmp_path / name).write_text("json://127.0.0.1" if name == "chat.url" else "a-secret")
        problems: list[Problem] = []
        text = sample.replace(_SECRETS, str(tmp_path))
        document = read_document(text, page.name, problems)
        assert document is not None
        section = document.section("queues")
        assert section is not None
        queues = queues_from_section(section, {})
        assert problems == []
        assert queues


@pytest.mark.parametrize(
    "name",
    [
        *("github", "gitlab", "jira", "zendesk", "servicenow"),
        *("redmine-real", "request_tracker-real"),
    ],
)
async def test_the_ticket_that_a_page_shows_is_the_one_that_is_made(name: str) -> None:
    kind = name.removesuffix("-real")
    [tracker] = [each for each in TRACKERS if each.kind == kind]
    async with STAGES[name]() as stage:
        await stage.queue.deliver(EXAMPLE)
        [ticket] = await stage.world.tickets()
        await stage.queue.close()
    page = (PAGES / f"{kind}.md").read_text()
    assert ticket.body.strip() in page
    assert f"**{ticket.title}**" in page
    if ticket.labels:
        assert f"`{'`, `'.join(ticket.labels)}`" in page
    assert f"| `{tracker.project_setting}` |" in page


def test_the_page_on_pagerduty_shows_an_alerts_details_as_they_are() -> None:
    [shown] = re.findall(r"^```json\n(.*?)^```$", (PAGES / "pagerduty.md").read_text(), re.M | re.S)
    assert json.loads(shown) == details_of(EXAMPLE)


def test_the_page_on_chats_shows_a_message_as_it_is() -> None:
    title, text = message_of(EXAMPLE)
    assert f"```text\n{title}\n\n{text}\n```" in (PAGES / "chat.md").read_text()


def test_the_page_on_mail_shows_a_mail_as_it_is() -> None:
    assert f"```text\n{letter_text(EXAMPLE)}```" in (PAGES / "email.md").read_text()


def test_the_page_on_webhooks_shows_a_delivery_as_it_is() -> None:
    [shown] = re.findall(r"^```json\n(.*?)^```$", (PAGES / "webhook.md").read_text(), re.M | re.S)
    assert json.loads(shown) == json.loads(encode_delivery(EXAMPLE))
