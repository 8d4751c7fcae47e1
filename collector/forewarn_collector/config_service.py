"""`service_levels:` and `depends_on:` of collector.yml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forewarn_collector.calendars import (
    NEXT,
    BusinessHours,
    Dependency,
    ServiceLevel,
    StepFrom,
    StepSpec,
    cycle_in,
    zone_of,
)
from forewarn_collector.config_calendars import CalendarsConfig, read_matchers
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, duration, one_of, text, text_mapping, texts

_ALWAYS = BusinessHours("", zone_of("UTC"))


@dataclass(frozen=True)
class ServiceConfig:
    """Levels in the order in which they are tried, and what depends on what."""

    levels: tuple[ServiceLevel, ...] = ()
    dependencies: tuple[Dependency, ...] = ()


def read_service(document: Section, calendars: CalendarsConfig) -> ServiceConfig:
    """Read both sections; what is wrong goes to `document.problems`."""
    levels = tuple(_level(each, calendars) for each in document.sections("service_levels"))
    for name, count in Counter(level.name for level in levels).items():
        if count > 1:
            hint = "give each its own name"
            document.problem("service_levels", f"{count} levels are named {name}", hint)
    return ServiceConfig(levels, _dependencies(document))


def check_queues(document: Section, config: ServiceConfig, names: Sequence[str]) -> None:
    """Note steps that tell a queue that is not there."""
    for level in config.levels:
        for step in level.steps:
            if step.queue and step.queue not in names:
                document.problem(
                    "service_levels",
                    f"step {step.name} of {level.name} tells {step.queue}, which is no queue",
                    f"queues given: {', '.join(names) or 'none'}",
                )


def _level(section: Section, calendars: CalendarsConfig) -> ServiceLevel:
    name = section.require("name", text, "")
    level = ServiceLevel(
        name=name,
        matchers=read_matchers(section),
        hours=section.take("calendar", _of("calendars", calendars.hours), _ALWAYS),
        due=section.take("due", _due, {}),
        steps=tuple(_step(each) for each in section.sections("steps")),
        rotation=section.take("rotation", _of("rotations", calendars.rotations), None),
    )
    section.refuse_unknown()
    for step, count in Counter(step.name for step in level.steps).items():
        if count > 1:
            section.problem("steps", f"{count} steps are named {step}", "give each its own name")
    if level.rotation is None and any(step.assign == NEXT for step in level.steps):
        section.problem("steps", "assign: next needs a rotation", "name one, or a person")
    return level


def _step(section: Section) -> StepSpec:
    given = [kind for kind in StepFrom if kind.value in section]
    if len(given) != 1:
        hint = "after: 30m (without acknowledgement), before_due: 1h or overdue: 0"
        section.problem("", "a step needs one of after, before_due and overdue", hint)
    waits = {kind: section.take(kind.value, duration, 0) for kind in StepFrom}
    counts_from = given[0] if given else StepFrom.OPENED
    step = StepSpec(
        name=section.require("name", text, ""),
        counts_from=counts_from,
        wait=waits[counts_from],
        queue=section.take("notify", text, ""),
        severity=section.take("severity", text, ""),
        assign=section.take("assign", text, ""),
        stops_on_acknowledgement=section.take(
            "stops_on_acknowledgement", boolean, counts_from is StepFrom.OPENED
        ),
    )
    section.refuse_unknown()
    return step


def _dependencies(document: Section) -> tuple[Dependency, ...]:
    found: list[Dependency] = []
    for section in document.sections("depends_on"):
        dependency = Dependency(
            section.require("target", _some_labels, {}),
            section.require("on", _some_labels, {}),
            section.take("equal", texts, ()),
        )
        section.refuse_unknown()
        if dependency.target and dependency.on:
            cycle = cycle_in([*found, dependency])
            if cycle:
                way = " -> ".join(cycle)
                hint = "what depends on itself would hold itself for ever; drop one of these"
                section.problem("", f"depends_on goes in a circle: {way}", hint)
                continue
        found.append(dependency)
    return tuple(found)


def _some_labels(value: Any) -> Mapping[str, str]:
    labels = text_mapping(value)
    if not labels:
        raise ValueError("expected labels, as in {service: database}")
    return labels


def _of(what: str, known: Mapping[str, Any]) -> Any:
    choose = one_of(*known) if known else None

    def read(value: Any) -> Any:
        if choose is None:
            raise ValueError(f"there are no {what}, so {value!r} is none")
        return known[choose(value)]

    return read


def _due(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError(f"expected severities and durations, as in critical: 4h, found {value!r}")
    return {text(severity): duration(each) for severity, each in value.items()}
