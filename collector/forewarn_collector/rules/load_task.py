"""The `task:` block of a rule: what task an alert becomes."""

from __future__ import annotations

from typing import Any

from forewarn_collector.config_damping import read_damping
from forewarn_collector.rules.fields import RuleReader
from forewarn_collector.rules.model import DAY, EvidenceSpec, OnMissing, TaskKind, TaskSpec
from forewarn_wire import is_label_name
from forewarn_wire.readers import duration, one_of, text, texts

_EVIDENCE_LAST = 3_600_000
"""How far back (ms) evidence looks that does not say."""


def read_task(rule: RuleReader) -> TaskSpec:
    """The block of a rule, or what holds where there is none."""
    section = rule.section.section("task")
    if section is None:
        return TaskSpec()
    reader = rule.within(section)
    spec = TaskSpec(
        kind=section.take("kind", _kind, TaskKind.CORRECTIVE),
        title=reader.template("title"),
        queue=section.take("queue", text, None),
        group_by=section.take("group_by", _label_names, None),
        due=section.take("due", duration, None),
        reopen_within=section.take("reopen_within", duration, DAY),
        on_missing=section.take("on_missing", _on_missing, OnMissing.HOLD),
        evidence=tuple(
            _read_evidence(reader.within(item)) for item in section.sections("evidence")
        ),
        checklist=section.take("checklist", texts, ()),
        damping=read_damping(section),
    )
    section.refuse_unknown()
    return spec


def _read_evidence(reader: RuleReader) -> EvidenceSpec:
    section = reader.section
    names = [name for name in ("expr", "events") if name in section]
    spec = EvidenceSpec(
        expr=reader.text("expr"),
        events=reader.text("events"),
        last=section.take("last", duration, _EVIDENCE_LAST),
    )
    if len(names) != 1:
        hint = "expr: PromQL for samples, events: '{label=\"value\"}' for events"
        section.problem("", "each evidence needs either expr or events", hint)
    # `$instance` stands within quotes, so what is written is PromQL before labels are filled in.
    for name in names:
        query = reader.query(name)
        if name == "events" and query is not None and len(query.selectors) != 1:
            section.problem(name, "events must be one selector", 'such as {instance="$instance"}')
    section.refuse_unknown()
    return spec


def _kind(value: Any) -> TaskKind:
    return TaskKind(one_of(*TaskKind)(value))


def _on_missing(value: Any) -> OnMissing:
    return OnMissing(one_of(*OnMissing)(value))


def _label_names(value: Any) -> tuple[str, ...]:
    names = texts(value)
    for name in names:
        if not is_label_name(name):
            raise ValueError(f"not a label's name: {name!r}")
    return names
