"""The words that a tracker's workflow has for the states of a ticket, where each site has its own.

close_as: {fixed: resolved, wont_fix: rejected}    the tracker's status for each outcome
reopen_as: open                                    the status of one that is opened again
states: {stalled: waiting, pending: waiting}       what others mean: `TicketState`

What is not named is as the tracker has it when it is new. Case does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_wire.document import Section
from forewarn_wire.readers import text, text_mapping

_Word = TypeVar("_Word", Outcome, TicketState)


@dataclass(frozen=True, slots=True)
class TicketWords:
    """See the module's text. `close_as` has all outcomes; the keys of `states` are casefolded."""

    close_as: Mapping[Outcome, str]
    reopen_as: str
    states: Mapping[str, TicketState]

    def state(self, word: str) -> TicketState | None:
        """What a status means; None where neither the configuration nor the tracker's default
        names it."""
        return self.states.get(word.casefold())

    def outcome(self, word: str) -> Outcome:
        """What a status that closed a ticket says of it: the first outcome that is closed as it."""
        wanted = word.casefold()
        named = (outcome for outcome, name in self.close_as.items() if name.casefold() == wanted)
        return next(named, Outcome.FIXED)


def read_ticket_words(section: Section, usual: TicketWords) -> TicketWords:
    """Read them over those that the tracker has when it is new."""
    close_as = {**usual.close_as, **section.take("close_as", _outcomes, {})}
    states = {**usual.states, **section.take("states", _states, {})}
    # What we close tickets as is closed, whatever else it was.
    closed = {word.casefold(): TicketState.CLOSED for word in close_as.values()}
    reopen_as = section.take("reopen_as", text, usual.reopen_as)
    if reopen_as.casefold() in closed:
        hint = "name a status of open tickets"
        section.problem("reopen_as", f"{reopen_as} is what tickets are closed as", hint)
    return TicketWords(close_as, reopen_as, {**states, **closed})


def _outcomes(value: Any) -> dict[Outcome, str]:
    return {_one_of(Outcome, name): word for name, word in text_mapping(value).items()}


def _states(value: Any) -> dict[str, TicketState]:
    named = text_mapping(value).items()
    return {word.casefold(): _one_of(TicketState, state) for word, state in named}


def _one_of(kind: type[_Word], word: str) -> _Word:
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise ValueError(f"expected one of {known}; found {word!r}") from None
