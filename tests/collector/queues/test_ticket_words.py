"""The words of a workflow, read over those that a tracker has when it is new."""

from __future__ import annotations

import pytest

from forewarn_collector.queues.ticket_words import TicketWords, read_ticket_words
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_wire import Problem
from forewarn_wire.document import read_document

USUAL = TicketWords(
    {
        Outcome.FIXED: "done",
        Outcome.NO_ACTION: "done",
        Outcome.WONT_FIX: "refused",
        Outcome.DUPLICATE: "refused",
    },
    "open",
    {"new": TicketState.NEW, "open": TicketState.IN_PROGRESS},
)


def read(text: str) -> tuple[TicketWords, list[str]]:
    problems: list[Problem] = []
    section = read_document(text or "{}", "collector.yml", problems)
    assert section is not None
    words = read_ticket_words(section, USUAL)
    section.refuse_unknown()
    return words, [str(problem) for problem in problems]


def test_what_is_not_named_is_as_the_tracker_has_it() -> None:
    words, problems = read("")
    assert problems == []
    assert words.reopen_as == "open"
    assert (words.state("New"), words.state("done")) == (TicketState.NEW, TicketState.CLOSED)
    assert words.state("waiting for parts") is None


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("done", Outcome.FIXED), ("REFUSED", Outcome.WONT_FIX), ("gone", Outcome.FIXED)],
)
def test_the_first_outcome_that_is_closed_as_a_word_is_what_it_says(
    word: str, outcome: Outcome
) -> None:
    assert read("")[0].outcome(word) is outcome


def test_a_site_has_its_own_words() -> None:
    words, problems = read(
        "close_as: {fixed: Erledigt}\nreopen_as: Offen\nstates: {Wartet: waiting, Fertig: closed}"
    )
    assert problems == []
    assert words.close_as[Outcome.FIXED] == "Erledigt"
    assert words.close_as[Outcome.WONT_FIX] == "refused"
    assert words.state("erledigt") is TicketState.CLOSED
    assert words.state("WARTET") is TicketState.WAITING
    assert words.state("Fertig") is TicketState.CLOSED


def test_mistakes_are_named() -> None:
    _, problems = read("close_as: {solved: x}\nstates: {a: done}\nreopen_as: refused")
    assert [problem.split(": ", 1)[1] for problem in problems] == [
        "close_as: expected one of fixed, no_action, duplicate, wont_fix; found 'solved'",
        "states: expected one of new, in_progress, waiting, closed; found 'done'",
        "refused is what tickets are closed as (name a status of open tickets)",
    ]
