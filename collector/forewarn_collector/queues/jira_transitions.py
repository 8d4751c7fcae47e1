"""Which of a workflow's transitions closes or opens an issue of Jira, and with which fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.jira_answers import RESOLUTIONS, same_name
from forewarn_collector.queues.tracker import Outcome
from forewarn_collector.queues.tracker_http import told, told_list
from forewarn_wire.document import Section
from forewarn_wire.readers import text_mapping

_TRANSITIONS = ("close", "reopen", *(outcome.value for outcome in Outcome))
_INSTEAD = (Outcome.WONT_FIX, Outcome.FIXED)
"""Whose resolutions stand in, in this order, where an outcome's own are not there."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """What the configuration says of transitions.

    transitions: {close: Done, wont_fix: Rejected, reopen: "11"}    by name, status or number
    resolutions: {fixed: Done, duplicate: Duplicate}                by outcome
    close_fields: {customfield_10020: {value: Hardware}}            what screens demand
    """

    transitions: Mapping[str, str] = field(default_factory=dict)
    resolutions: Mapping[str, str] = field(default_factory=dict)
    close_fields: Mapping[str, Any] = field(default_factory=dict)

    def closing(
        self, ref: str, offered: Sequence[Mapping[str, Any]], outcome: Outcome
    ) -> dict[str, Any]:
        """The body of the request that closes an issue, by the transitions it has with their
        fields.

        Raises DeliveryError that names those there are.
        """
        wanted = self.transitions.get(outcome.value) or self.transitions.get("close", "")
        chosen = _chosen(offered, wanted, ("done",))
        if chosen is None:
            raise _lacking(ref, offered, wanted, "closes it", "close")
        return {"transition": {"id": told(chosen, "id")}, "fields": self._filled(chosen, outcome)}

    def reopening(self, ref: str, offered: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The body of the request that opens it again."""
        wanted = self.transitions.get("reopen", "")
        chosen = _chosen(offered, wanted, ("new", "indeterminate", "undefined"))
        if chosen is None:
            raise _lacking(ref, offered, wanted, "opens it", "reopen")
        return {"transition": {"id": told(chosen, "id")}}

    def _filled(self, chosen: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        screen = chosen.get("fields")
        fields: Mapping[str, Any] = screen if isinstance(screen, dict) else {}
        filled = {name: value for name, value in self.close_fields.items() if name in fields}
        if "resolution" in fields and "resolution" not in filled:
            resolution = self._resolution(fields["resolution"], outcome)
            if resolution:
                filled["resolution"] = {"name": resolution}
        missing = [
            f"{told(one, 'name')} ({name})"
            for name, one in fields.items()
            if isinstance(one, dict) and one.get("required") is True
            if name not in filled and one.get("hasDefaultValue") is not True
        ]
        if missing:
            said = f"the transition {told(chosen, 'name')} demands fields: {', '.join(missing)}"
            raise DeliveryError(f"{said}; set them under `close_fields:`", permanent=True)
        return filled

    def _resolution(self, screen: Any, outcome: Outcome) -> str:
        names = [told(each, "name") for each in told_list(screen, "allowedValues")]
        configured = self.resolutions.get(outcome.value)
        if configured:
            return configured
        for each in (outcome, *_INSTEAD):
            for usual in RESOLUTIONS[each]:
                for name in names:
                    if same_name(name, usual):
                        return name
        return names[0] if names else ""


def read_workflow(section: Section) -> Workflow:
    """Read `transitions`, `resolutions` and `close_fields`."""
    outcomes = tuple(outcome.value for outcome in Outcome)
    return Workflow(
        transitions=section.take("transitions", _mapping_of(_TRANSITIONS), {}),
        resolutions=section.take("resolutions", _mapping_of(outcomes), {}),
        close_fields=section.take("close_fields", _fields, {}),
    )


def _mapping_of(names: Sequence[str]) -> Any:
    def read(value: Any) -> Mapping[str, str]:
        found = text_mapping(value)
        strangers = sorted(set(found) - set(names))
        if strangers:
            raise ValueError(f"expected of {', '.join(names)}; found {', '.join(strangers)}")
        return found

    return read


def _fields(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected the names of fields with their values, found {value!r}")
    return {str(name): each for name, each in value.items()}


def _chosen(
    offered: Sequence[Mapping[str, Any]], wanted: str, categories: Sequence[str]
) -> Mapping[str, Any] | None:
    """The one that is named, by its number, its name or its status; else by the first category."""
    if wanted:
        for transition in offered:
            if told(transition, "id") == wanted:
                return transition
            if any(same_name(told(transition, *at), wanted) for at in (("name",), ("to", "name"))):
                return transition
        return None
    for category in categories:
        for transition in offered:
            if told(transition, "to", "statusCategory", "key") == category:
                return transition
    return None


def _lacking(
    ref: str, offered: Sequence[Mapping[str, Any]], wanted: str, does: str, setting: str
) -> DeliveryError:
    said = f"the workflow of {ref} has no transition that {does}"
    if wanted:
        said = f"the workflow of {ref} has no transition {wanted} now"
    names = ", ".join(f"{told(each, 'name')} ({told(each, 'id')})" for each in offered) or "none"
    hint = f"it offers {names}; name one under `transitions: {{{setting}: ...}}`"
    return DeliveryError(f"{said}; {hint}", permanent=True)
