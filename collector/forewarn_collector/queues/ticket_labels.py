"""Labels, where a tracker has nothing else for a priority: which a ticket gets, and which leave."""

from __future__ import annotations

from collections.abc import Sequence

from forewarn_collector.queues.ticket_settings import cut
from forewarn_collector.queues.tracker import TicketFields


def labels_of(fields: TicketFields, longest: int) -> list[str]:
    """The labels of a ticket, its priority as the last of them."""
    wanted = (cut(label, longest) for label in (*fields.labels, fields.priority))
    return list(dict.fromkeys(label for label in wanted if label))


def outdated(present: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Those that `ours` replace: other labels with the same text up to their last colon.

    `severity:critical` takes the place of `severity:high`; what people gave stays.
    """
    replaced = {_prefix(label) for label in ours} - {""}
    return [label for label in present if label not in ours and _prefix(label) in replaced]


def _prefix(label: str) -> str:
    before, colon, _ = label.rpartition(":")
    return before + colon
