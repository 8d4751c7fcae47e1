"""`incidents:` of collector.yml: alerts of several rules that are one task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.silencing.matchers import Matcher, matches_all, parse_matchers
from forewarn_collector.tasks.identity import CUSTOMER
from forewarn_collector.tasks.placing import Place, Placing
from forewarn_wire import Labels, is_label_name
from forewarn_wire.document import Section
from forewarn_wire.readers import duration, text, texts

_WINDOW = 3_600_000


@dataclass(frozen=True, slots=True)
class Incident:
    """Alerts that match are one task for each group, whatever their rules.

    `group_by` are labels, to which the customer is always added. One that is over comes back for
    `window` (ms) after its end.
    """

    name: str
    match: tuple[Matcher, ...]
    group_by: tuple[str, ...]
    window: int

    def key(self, labels: dict[str, str]) -> str:
        """The key of the group that these labels belong to."""
        names = sorted({*self.group_by, CUSTOMER} & labels.keys())
        pairs = ", ".join(f"{n}={json.dumps(labels[n], ensure_ascii=False)}" for n in names)
        return f"incident/{self.name}{{{pairs}}}"


@dataclass(frozen=True, slots=True)
class ByIncident:
    """The first incident that an alert matches is its place; that of all others is `inner`'s."""

    inner: Placing
    incidents: tuple[Incident, ...]

    def place(self, rule: AlertingRule, labels: Labels) -> Place:
        """See `Placing`."""
        place, found = self.inner.place(rule, labels), dict(labels)
        for incident in self.incidents:
            # Without any of the labels there is no telling what it would be an incident of.
            if matches_all(incident.match, found) and found.keys() & set(incident.group_by):
                return replace(
                    place,
                    key=incident.key(found),
                    incident=incident.name,
                    reopen_within=incident.window,
                )
        return place


def read_incidents(sections: Sequence[Section]) -> tuple[Incident, ...]:
    """Read the items of the list; problems are noted in them."""
    found: list[Incident] = []
    for section in sections:
        incident = Incident(
            name=section.require("name", text, ""),
            match=section.take("match", _matchers, ()),
            group_by=section.require("group_by", _labels, ()),
            window=section.take("window", duration, _WINDOW),
        )
        section.refuse_unknown()
        if incident.name in {other.name for other in found}:
            section.problem("name", f"there is an incident {incident.name} already")
        found.append(incident)
    return tuple(found)


def _matchers(value: Any) -> tuple[Matcher, ...]:
    return tuple(matcher for each in texts(value) for matcher in parse_matchers(each))


def _labels(value: Any) -> tuple[str, ...]:
    names = texts(value)
    for name in names:
        if not is_label_name(name):
            raise ValueError(f"not a label's name: {name!r}")
    return names
