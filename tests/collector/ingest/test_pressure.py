"""What may wait for the disk, shared between senders, and how fast customers may send."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.ingest.pressure import (
    LONGEST_PARSE,
    LONGEST_WAIT,
    Pressure,
    SampleRates,
    Ticket,
)

MOST = 1_000


def test_one_sender_fills_half_and_leaves_room_for_others() -> None:
    pressure = Pressure(MOST)
    let_in = 0
    while isinstance(pressure.enter("greedy", 50, 0.0), Ticket):
        let_in += 1
    # Alone it has it all; its share is halved as soon as another one comes.
    assert let_in * 50 <= MOST
    held = Pressure(MOST)
    first = held.enter("modest", 50, 0.0)
    assert isinstance(first, Ticket)
    greedy = 0
    while isinstance(held.enter("greedy", 50, 0.0), Ticket):
        greedy += 50
    assert greedy == MOST // 2
    assert all(isinstance(held.enter(f"s{k}", 50, 0.0), Ticket) for k in range(9))
    assert isinstance(held.enter("s9", 50, 0.0), str)


def test_what_is_answered_makes_room_again() -> None:
    pressure = Pressure(MOST)
    ticket = pressure.enter("a", MOST, 0.0)
    assert isinstance(ticket, Ticket)
    refusal = pressure.enter("b", 1, 0.0)
    assert isinstance(refusal, str)
    assert "1000 bytes" in refusal
    pressure.leave(ticket, 0.0)
    assert pressure.waiting == 0
    assert isinstance(pressure.enter("b", 1, 0.0), Ticket)


def test_a_body_larger_than_the_bound_is_let_in_alone() -> None:
    pressure = Pressure(MOST)
    assert isinstance(pressure.enter("a", 5 * MOST, 0.0), Ticket)
    assert isinstance(pressure.enter("a", 1, 0.0), str)


def test_while_the_disk_stands_still_nobody_is_let_in() -> None:
    pressure = Pressure(MOST)
    reading = pressure.enter("slow to send", 1, 0.0)
    assert isinstance(pressure.enter("a", 1, LONGEST_WAIT + 1), Ticket)
    assert isinstance(reading, Ticket)
    pressure.storing(reading, 100.0)
    assert isinstance(pressure.enter("b", 1, 100.0 + LONGEST_WAIT), Ticket)
    assert isinstance(pressure.enter("b", 1, 101.0 + LONGEST_WAIT), str)
    pressure.leave(reading, 101.0 + LONGEST_WAIT)
    assert isinstance(pressure.enter("b", 1, 101.0 + LONGEST_WAIT), Ticket)


def test_a_fleet_of_new_senders_is_let_in_as_fast_as_it_is_parsed() -> None:
    pressure = Pressure(MOST)
    now, done = 0.0, 0
    held: deque[Ticket] = deque()
    for turn in range(10_000):
        # A hundred come a second, ten are done, each 0.1 s after the last.
        now = turn / 100
        found = pressure.enter(f"agent {turn}", 1, now)
        assert isinstance(found, Ticket)
        if pressure.parsing(found, now) is None:
            held.append(found)
        else:
            pressure.leave(found, now)
        if held and turn % 10 == 9:
            pressure.leave(held.popleft(), now)
            done += 1
    assert done == 1_000
    # So nobody waits for much longer than `LONGEST_PARSE`, here 50 turns.
    assert 45 <= len(held) <= 10 * LONGEST_PARSE + 2


def test_new_senders_keep_nobody_away_that_is_known() -> None:
    pressure = Pressure(10 * MOST)
    for number in range(MOST):
        new = pressure.enter(f"new {number}", 1, 0.0)
        assert isinstance(new, Ticket)
        pressure.parsing(new, 0.0)
    assert isinstance(pressure.enter("known", 1, LONGEST_WAIT + LONGEST_PARSE), Ticket)


def test_senders_that_are_sent_away_come_back_one_after_the_other() -> None:
    pressure = Pressure(MOST)
    told = Counter(pressure.later(0.0) for _ in range(10_000))
    # From 5 to 30 seconds, 200 in each of them; who finds no turn comes last.
    assert sorted(told) == list(range(5, 31))
    assert [told[second] for second in (6, 12, 29)] == [200, 200, 200]
    assert pressure.later(1_000.0) == 5


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, MOST), st.booleans()), max_size=60)
)
def test_what_waits_stays_within_the_bound_and_is_counted_right(
    steps: list[tuple[str, int, bool]],
) -> None:
    pressure = Pressure(MOST)
    held: list[Ticket] = []
    for sender, size, answer in steps:
        if answer and held:
            pressure.leave(held.pop(), 0.0)
        else:
            found = pressure.enter(sender, size, 0.0)
            held += [found] if isinstance(found, Ticket) else []
        assert pressure.waiting == sum(ticket.size for ticket in held) <= MOST
    for ticket in held:
        pressure.leave(ticket, 0.0)
    assert pressure.waiting == 0


def test_a_customer_over_its_rate_waits_until_its_debt_is_paid() -> None:
    rates = SampleRates({"acme": 100, "free": 0})
    # A minute's allowance at once, taken as a whole by one request.
    assert rates.wait("acme", 0.0) == 0.0
    rates.spend("acme", 6_500, 0.0)
    assert rates.wait("acme", 0.0) == 5.0
    assert rates.wait("acme", 4.0) == 1.0
    assert rates.wait("acme", 5.5) == 0.0
    for customer in ("free", "other", ""):
        rates.spend(customer, 10**9, 0.0)
        assert rates.wait(customer, 0.0) == 0.0


def test_what_was_let_in_together_is_paid_for_later() -> None:
    rates = SampleRates({"acme": 100})
    rates.spend("acme", 5_900, 0.0)
    # Two requests find 100 samples left, and bring 200 each.
    assert rates.wait("acme", 0.0) == rates.wait("acme", 0.0) == 0.0
    rates.spend("acme", 200, 0.0)
    rates.spend("acme", 200, 0.0)
    assert rates.wait("acme", 0.0) == 3.0


def test_a_steady_sender_at_its_rate_is_never_told_to_wait() -> None:
    rates = SampleRates({"acme": 100})
    for turn in range(100):
        assert rates.wait("acme", 10.0 * turn) == 0.0
        rates.spend("acme", 1_000, 10.0 * turn)
