"""The filter of the list of tasks, as it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlencode

from forewarn_collector.tasks import STANDING, TaskFilter, TaskOrder, TaskState

ANY_STATE = "all"
NOBODY = "-"
"""The assignee of what nobody has been given."""
ORDERS = {
    TaskOrder.URGENT: "Most urgent",
    TaskOrder.DUE: "Due first",
    TaskOrder.LAST_ONSET: "Newest onset",
    TaskOrder.ONSET: "Oldest onset",
}
PAGE_SIZES = (100, 1_000)
_LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class AskedTasks:
    """What is asked for: each field is a parameter of the address, empty if it asks for nothing."""

    q: str = ""
    state: str = ""
    severity: str = ""
    customer: str = ""
    service: str = ""
    host: str = ""
    kind: str = ""
    queue: str = ""
    assignee: str = ""
    rule: str = ""
    due: str = ""
    sort: str = ""
    rows: str = ""

    @property
    def narrows(self) -> int:
        """How many fields leave tasks out."""
        return sum(
            bool(getattr(self, each.name))
            for each in fields(self)
            if each.name not in {"sort", "rows"}
        )

    @property
    def hidden(self) -> int:
        """How many of them are not in sight at once."""
        return self.narrows - bool(self.q) - bool(self.state) - bool(self.severity) - bool(self.due)

    @property
    def order(self) -> TaskOrder:
        """How to sort."""
        return next((order for order in ORDERS if order.value == self.sort), TaskOrder.URGENT)

    @property
    def limit(self) -> int:
        """How many to a page."""
        return next((size for size in PAGE_SIZES if str(size) == self.rows), PAGE_SIZES[0])

    def filter(self, now: int) -> TaskFilter:
        """The same for the ledger."""
        states = tuple(state for state in TaskState if state.value == self.state) or STANDING
        return TaskFilter(
            states=() if self.state == ANY_STATE else states,
            severity=self.severity,
            customer=self.customer,
            service=self.service,
            instance=self.host,
            kind=self.kind,
            rule=self.rule,
            queue=self.queue,
            assignee="" if self.assignee == NOBODY else self.assignee,
            unassigned=self.assignee == NOBODY,
            text=self.q,
            due_before=now if self.due else None,
        )

    def address(self, **changes: str) -> str:
        """The address of the list with some fields otherwise."""
        given = {each.name: getattr(self, each.name) for each in fields(self)} | changes
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/?{query}" if query else "/"


def asked_in(query: Mapping[str, str]) -> AskedTasks:
    """What an address asks for; what nobody knows of it asks for nothing."""
    given = {each.name: query.get(each.name, "").strip() for each in fields(AskedTasks)}
    # What no database takes, nobody has.
    sound = {
        name: value.replace("\x00", "").encode(errors="replace").decode()[:_LONGEST]
        for name, value in given.items()
    }
    return AskedTasks(**sound)
