"""Back-pressure: how much may wait for the disk, shared fairly between those who send it."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

LONGEST_WAIT = 20.0
"""How long (s) the oldest write may have waited for the disk before others are sent away."""
LONGEST_PARSE = 5.0
"""The same for those that must be parsed: their senders still wait when their turn has come."""
_FIRST_PARSED, _FIRST_SECONDS = 100.0, 2.0
_MEMORY = 10.0
"""How many were done in how long, as a first guess, and how soon (s) it matters no more."""
RETRY_AFTER, LONGEST_RETRY_AFTER = 5, 30
"""After how many seconds those that are sent away come again, at the earliest and at the latest."""
RETURNS = 200
"""How many of them a second: to send requests away, too, is work that keeps others waiting."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that was let in: who sent it, and the bytes that it holds until it is answered."""

    sender: str
    size: int


class Pressure:
    """Who is let in. Used on the event loop alone; times in seconds of one clock, any one.

    While less than half of `most` is waiting everybody is let in. Beyond that a sender gets no
    more than its share, which is `most` divided by the senders that have something waiting; so
    one that sends without a pause fills half, and there is room for the others.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_sender: dict[str, int] = {}
        self._storing: OrderedDict[Ticket, float] = OrderedDict()
        self._parsing: OrderedDict[Ticket, float] = OrderedDict()
        self._parsed, self._seconds = _FIRST_PARSED, _FIRST_SECONDS
        self._last_parsed = 0.0
        self._next_return = 0.0
        self.waiting = 0

    def enter(self, sender: str, size: int, now: float) -> Ticket | str:
        """Let a request of so many bytes in, or say why it must come again later."""
        own = self._by_sender.get(sender, 0)
        oldest = self.oldest(now)
        if oldest > LONGEST_WAIT:
            return f"writes have been waiting for the disk for {oldest:.0f} s; send again later"
        # A body over the bound is not for this class to refuse: alone it is let in.
        if self.waiting and self.waiting + size > self._most:
            return (
                f"{self.waiting} bytes of requests are waiting, the bound is {self._most};"
                " send again later"
            )
        share = self._most // (len(self._by_sender) + (not own))
        if own and self.waiting + size > self._most // 2 and own + size > share:
            return (
                f"{own} bytes of this sender are waiting, which is its share of {self._most};"
                " send again later"
            )
        ticket = Ticket(sender, size)
        self._by_sender[sender] = own + size
        self.waiting += size
        return ticket

    def storing(self, ticket: Ticket, now: float) -> None:
        """The request is read; from now on it waits for the disk."""
        self._storing[ticket] = now

    def parsing(self, ticket: Ticket, now: float) -> str | None:
        """The request is unlike those before it and waits to be parsed; or why it may not.

        Such requests are dear, the more so where their series are new. They are let in as far as
        they will be answered in time, and wait apart from the others: a fleet that is new to the
        collector does not keep those away that it knows.
        """
        self._storing.pop(ticket, None)
        oldest = now - next(iter(self._parsing.values()), now)
        if max(oldest, len(self._parsing) * self._seconds / self._parsed) > LONGEST_PARSE:
            return f"{len(self._parsing)} requests of new senders are waiting; send again later"
        self._parsing[ticket] = now
        return None

    def later(self, now: float) -> int:
        """After how many seconds one that is sent away is to come again: not all at once."""
        earliest, latest = now + RETRY_AFTER, now + LONGEST_RETRY_AFTER
        turn = min(max(self._next_return, earliest), latest)
        self._next_return = turn + 1 / RETURNS
        return int(turn - now)

    def leave(self, ticket: Ticket, now: float) -> None:
        """The request is answered."""
        self._storing.pop(ticket, None)
        since = self._parsing.pop(ticket, None)
        if since is not None:
            # Many may be answered at once, after a commit that they shared.
            kept = math.exp((self._last_parsed - now) / _MEMORY)
            self._parsed = self._parsed * kept + 1
            self._seconds = self._seconds * kept + now - max(since, self._last_parsed)
            self._last_parsed = now
        self.waiting -= ticket.size
        left = self._by_sender[ticket.sender] - ticket.size
        if left > 0:
            self._by_sender[ticket.sender] = left
        else:
            del self._by_sender[ticket.sender]

    def oldest(self, now: float) -> float:
        """How long (s) the oldest write has been waiting for the disk."""
        return now - next(iter(self._storing.values()), now)


class SampleRates:
    """How fast customers send, for those who may not send as fast as they like.

    A second's allowance is added each second, up to a minute's. A request is let in while there is
    any left; once its samples are known they are taken off as a whole, so that no size of request
    is too large for ever, and what was let in together is waited for later.
    """

    def __init__(self, most: dict[str, int]) -> None:
        """`most[customer]` in samples a second."""
        self._most = {customer: rate for customer, rate in most.items() if rate}
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, customer: str, now: float) -> float:
        """0 where a request is let in, else the seconds after which one will be."""
        rate = self._most.get(customer)
        if rate is None:
            return 0.0
        left = self._allowance(customer, rate, now)
        return 0.0 if left > 0 else max(1.0, -left / rate)

    def spend(self, customer: str, samples: int, now: float) -> None:
        """Take off the samples of a request that was let in."""
        rate = self._most.get(customer)
        if rate is not None:
            self._left[customer] = self._allowance(customer, rate, now) - samples, now

    def _allowance(self, customer: str, rate: int, now: float) -> float:
        burst = rate * 60.0
        left, since = self._left.get(customer, (burst, now))
        return min(burst, left + (now - since) * rate)
