"""What a ticket system can do for us: the contract that every kind of tracker fulfils.

`TicketQueue` (ticket_queue.py) turns deliveries into these calls; a tracker knows one system's
requests and answers, and nothing of tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from forewarn_collector.queues.pages import Page
from forewarn_collector.tasks import TicketState as TicketState
from forewarn_wire.document import Section


class Outcome(StrEnum):
    """What became of a closed ticket."""

    FIXED = "fixed"
    NO_ACTION = "no_action"
    DUPLICATE = "duplicate"
    WONT_FIX = "wont_fix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket as its tracker has it now.

    `ref` names it for good, and for any later call (`acme/ops#12`, `OPS-7`, `1042`); where it was
    moved, it is the new one. `outcome` is of closed ones. `assignee` and `changed_by` are the
    tracker's names of people, empty where there is none or that is not told. `changed_at` in ms.
    """

    ref: str
    state: TicketState
    outcome: Outcome = Outcome.FIXED
    assignee: str = ""
    changed_by: str = ""
    changed_at: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A remark of a ticket. `at` in ms; `marker` is that of a remark of ours, else empty.

    `id` is the tracker's; ids of one ticket can be told apart, no more is asked of them.
    """

    id: str
    who: str
    text: str
    at: int
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file. Its name is the same at every attempt, and different for other contents."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFields:
    """What a ticket carries besides its text, by the queue's configuration.

    `project` is where it belongs, in the tracker's own words (a repository, a project's key, a
    queue). `priority`, `assignee` and the names in `custom` are the tracker's. Empty: not set.
    `due_at` in ms.
    """

    project: str
    title: str
    priority: str = ""
    labels: tuple[str, ...] = ()
    assignee: str = ""
    due_at: int | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)


class Tracker(Protocol):
    """A ticket system. Every method but `link` may raise DeliveryError.

    One object serves one configured queue, on one event loop. What a tracker refuses for good
    is `permanent`; what says that the whole queue is down, limited or wrongly configured is
    `whole_queue`. No error has a secret in it.
    """

    kind: ClassVar[str]
    longest_title: ClassVar[int]
    """Characters; longer ones are cut before they get here."""
    longest_body: ClassVar[int]
    """Characters of a ticket's or a remark's text, as rendered."""
    takes_files: ClassVar[bool]
    project_setting: ClassVar[str]
    """What this tracker calls the place of a ticket in its configuration: `repository`, ..."""

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> Tracker | None:
        """Read its own settings; None where they can't be, with the problems reported.

        Those that all ticket queues share (ticket_settings.py) are taken already.
        """

    def render(self, page: Page) -> str:
        """A text for people in the tracker's own markup."""

    def link(self, ref: str) -> str:
        """The address of a ticket for people; makes no request."""

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """The ticket that was created with this marker, open or closed; the first, if several.

        It is found at once when `create` has returned, or has failed after the tracker took it:
        never by an index that lags behind. It was made at `since` (ms) or later, so that a list of
        the newest may end there.
        """

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """Make a ticket. The marker is one word of ASCII letters, digits and hyphens."""

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """Set those fields whose names (of TicketFields) are given. Setting again is harmless."""

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """Add a remark, with its marker. The ticket's state stays as it is."""

    async def attach(self, ref: str, file: Attachment) -> None:
        """Attach a file, unless the ticket has one of that name. Only where `takes_files`."""

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """Close it; nothing happens where it is closed already."""

    async def reopen(self, ref: str) -> str | None:
        """Open it again; nothing happens where it is open.

        Where a closed one can't be opened, another one continues it: returns that one's reference.
        """

    async def read(self, ref: str) -> Ticket | None:
        """The ticket as it is now; None where it is gone for good."""

    async def comments(self, ref: str) -> list[Comment]:
        """Its remarks by people and by us, the oldest first; what the system itself notes is left
        out. At most the newest 1,000."""

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """References of tickets that changed at `since` (ms) or later: those of `refs` surely, any
        other may be among them; at most 1,000, those changed first first."""

    async def check(self, project: str) -> str:
        """Who the token belongs to, in a few words, once all rights that are needed were seen.

        Raises DeliveryError that names what is wrong (token, project, a right), and the remedy.
        """

    async def close(self) -> None:
        """Let go of connections."""
