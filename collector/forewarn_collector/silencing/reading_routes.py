"""Reads the routing tree of an alertmanager.yml."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from forewarn_collector.silencing.reading_fields import Notes, matchers_of
from forewarn_collector.silencing.routes import Route, route_key
from forewarn_wire import is_label_name
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, duration, text, texts

_ALL = "..."
_TIMES = ("group_wait", "group_interval", "repeat_interval")


def read_route(
    document: Section, receivers: Collection[str], intervals: Collection[str], notes: Notes
) -> Route:
    """The tree under `route`; what is wrong goes to the document's problems."""
    section = document.section("route")
    if section is None:
        document.problem("", "no routes provided", "route: {receiver: NAME} is the least")
        return Route("")
    for field in ("match", "match_re", "matchers"):
        if field in section:
            section.problem(field, "root route must not have any matchers")
    for field in ("mute_time_intervals", "active_time_intervals"):
        if field in section:
            section.problem(field, f"root route must not have any {field.replace('_', ' ')}")
    reader = _Reader(receivers, intervals, notes)
    route = reader.read(section, None)
    if not route.receiver:
        section.problem("", "root route must specify a default receiver")
    return route


class _Reader:
    def __init__(
        self, receivers: Collection[str], intervals: Collection[str], notes: Notes
    ) -> None:
        self._receivers = receivers
        self._intervals = intervals
        self._notes = notes

    def read(self, section: Section, parent: Route | None) -> Route:
        above = parent or Route("")
        matchers = matchers_of(section, "match", "match_re", "matchers")
        times = [section.take(name, duration, getattr(above, name)) for name in _TIMES]
        for name, value in zip(_TIMES[1:], times[1:], strict=True):
            if name in section and value == 0:
                section.problem(name, f"{name} cannot be zero")
        given = [name for name in _TIMES if name in section]
        if given:
            self._notes.add(
                section,
                given[0],
                f"{', '.join(given)}: not needed",
                "a task opens at once and is told of once, then of its changes",
            )
        continues = section.take("continue", boolean, False)
        none: tuple[str, ...] | None = ()
        key = "{}" if parent is None else route_key(above.key, matchers)
        route = Route(
            receiver=section.take("receiver", text, above.receiver) or above.receiver,
            matchers=matchers,
            key=key,
            group_by=_inherited(section.take("group_by", _group_by, none), above),
            continues=continues,
            mute_intervals=self._named(section, "mute_time_intervals"),
            active_intervals=self._named(section, "active_time_intervals"),
            group_wait=times[0],
            group_interval=times[1],
            repeat_interval=times[2],
            line=section.place()[0],
        )
        if "receiver" in section and route.receiver and route.receiver not in self._receivers:
            section.problem("receiver", f'undefined receiver "{route.receiver}" used in route')
        children = tuple(self.read(child, route) for child in section.sections("routes"))
        section.refuse_unknown()
        if not route.group_by and route.group_by is not None and not children:
            self._notes.add(
                section,
                "",
                "no group_by: all alerts that end at this route are one task",
                "as they are one notification; group_by: [alertname, instance] tells them apart",
            )
        return replace(route, routes=children)

    def _named(self, section: Section, field: str) -> tuple[str, ...]:
        none: tuple[str, ...] = ()
        names = section.take(field, texts, none)
        for name in names:
            if name not in self._intervals:
                section.problem(field, f'undefined time interval "{name}" used in route')
        return names


def _inherited(group_by: tuple[str, ...] | None, above: Route) -> tuple[str, ...] | None:
    # An empty list is as none: it can't undo what stands above.
    return above.group_by if group_by == () else group_by


def _group_by(value: Any) -> tuple[str, ...] | None:
    names = texts(value)
    if _ALL in names:
        if len(names) > 1:
            raise ValueError("cannot have wildcard group_by (`...`) and other labels")
        return None
    for name in names:
        if not is_label_name(name):
            raise ValueError(f"invalid label name {name!r} in group_by list")
    if len(set(names)) < len(names):
        raise ValueError("duplicated label in group_by")
    return names
