"""How a task's facts become a ticket's fields."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.ticket_settings import TicketSettings, read_ticket_settings
from forewarn_wire import Problem
from forewarn_wire.document import read_document
from support.deliveries import TASK


def read(text: str) -> tuple[TicketSettings | None, list[str]]:
    problems: list[Problem] = []
    section = read_document(text, "collector.yml", problems)
    assert section is not None
    found = read_ticket_settings(section, "project", {})
    return found, [str(problem) for problem in problems]


def settings(text: str) -> TicketSettings:
    found, problems = read(text)
    assert found is not None, problems
    return found


def test_without_settings_a_ticket_says_what_where_and_how_bad() -> None:
    fields = settings("project: OPS").fields(replace(TASK, title="The disk fills"), 200)
    assert fields.project == "OPS"
    assert fields.title == "The disk fills (a)"
    assert fields.labels == ("forewarn", "severity:high", "customer:acme")
    assert (fields.priority, fields.assignee, fields.custom) == ("", "", {})
    assert fields.due_at == TASK.due_at


@pytest.mark.parametrize(
    ("project", "is_one"), [("OPS", True), ("{{ customer }}", False), ("{{ 'OPS' }}", True)]
)
def test_a_project_of_each_customer_is_not_that_of_the_whole_queue(
    project: str, is_one: bool
) -> None:
    assert settings(f'project: "{project}"').one_project is is_one


def test_every_fact_can_be_mapped() -> None:
    fields = settings(
        """
project: "{{ customer | upper }}"
title: "[{{ severity }}] {{ title }}"
labels: ["{{ labels.alertname }}", "{{ labels.nothing }}"]
priority: {high: P2}
assignee: {ann: ann-acme}
due: false
fields: {customfield_1: {value: "{{ labels.instance }}"}, customfield_2: ["{{ kind }}", 7]}
"""
    ).fields(replace(TASK, assignee="ann"), 200)
    assert fields.project == "ACME"
    assert fields.title == "[high] / on a fills"
    assert fields.labels == ("DiskFull",)
    assert (fields.priority, fields.assignee, fields.due_at) == ("P2", "ann-acme", None)
    assert fields.custom == {"customfield_1": {"value": "a"}, "customfield_2": ["preventive", 7]}


def test_whom_the_tracker_does_not_know_gets_nothing_and_nobody_gets_the_default() -> None:
    found = settings("project: OPS\nassignee: {ann: ann-acme}\ndefault_assignee: lead")
    assert found.fields(replace(TASK, assignee="zoe"), 200).assignee == "lead"
    assert found.person("ann-acme") == "ann"
    assert found.person("zoe") == "zoe"


def test_a_title_too_long_is_cut() -> None:
    title = settings("project: OPS").fields(replace(TASK, title="x" * 300), 100).title
    assert len(title) == 100
    assert title.endswith("…")


def test_a_project_that_no_label_fills_is_refused_for_good() -> None:
    with pytest.raises(DeliveryError, match="project of FW-17 is empty") as caught:
        settings('project: "{{ labels.team }}"').fields(TASK, 100)
    assert caught.value.permanent


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{% for x in range(10**9) %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ title.format_map(1) }}",
    ],
)
def test_a_template_does_no_harm(template: str) -> None:
    found = settings(f'project: OPS\ntitle: "{template}"')
    try:
        assert "class" not in found.fields(TASK, 100).title
    except DeliveryError as error:
        assert error.permanent  # noqa: PT017 - either is well


def test_all_mistakes_are_named_with_their_place() -> None:
    found, problems = read(
        """
title: "{{ title"
priority: high
on_resolve: burn
poll: 1s
fields: [a]
hook_secret: hunter2
"""
    )
    assert found is None
    assert len(problems) == 7
    for said in ("project", "template", "priority", "burn", "10s", "fields", "hook_secret"):
        assert any(said in problem for problem in problems), said
    assert not any("hunter2" in problem for problem in problems)
