"""Which data came late, of which hosts and since when: noted before its sender is answered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.rules.triggers import SeriesNames
from forewarn_collector.store import LATE, Arrival, Ints
from forewarn_collector.tasks import LedgerError
from forewarn_collector.tasks.backlogs import BacklogRows
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

QUIET = 10.0
"""Seconds without late data after which backlogs count as complete: as long as an agent waits at
most before it tries again to send."""
PATIENCE = 300.0
"""Seconds after which backlogs are looked at as far as they have come."""

_UNKNOWN = -1


@dataclass(slots=True)
class Backlog:
    """Late data of one host: its oldest time and the time at which the last of it came (ms).

    `rows` are the ids under which the ledger has it, `began` and `heard` moments (s) of the first
    and the last arrival.
    """

    since: int
    until: int
    began: float
    heard: float
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Due:
    """Backlogs to look at, by host, and the series that they brought; None: not known."""

    hosts: Mapping[str, Backlog]
    refs: Ints | None

    @property
    def rows(self) -> list[int]:
        """The ledger's rows of them all."""
        return [row for backlog in self.hosts.values() for row in backlog.rows]


class Backlogs:
    """Hears of every arrival; a host is what the label `instance` says.

    A host's backlog is in the ledger before any of it is acknowledged, so that a collector that
    is killed in the middle looks at it after its restart.
    """

    def __init__(self, rows: BacklogRows, names: SeriesNames, clock: Clock, reach: int) -> None:
        """Samples older than `reach` (ms) are stored and looked at no more; 0: none are."""
        self._rows = rows
        self._names = names
        self._clock = clock
        self._reach = reach
        self._lock = threading.Lock()
        self._waiting: dict[str, Backlog] = {}
        self._restored: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._hosts: list[str] = []
        # By ref: the number of the series' host, and whether late data of it waits.
        self._host_of: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._late: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    @property
    def waiting(self) -> int:
        """Of how many hosts a backlog waits."""
        return len(self._waiting)

    def restore(self, moment: float) -> None:
        """Take up what was noted before a restart. Raises LedgerError."""
        now = self._clock()
        for noted in self._rows.load():
            backlog = self._waiting.setdefault(
                noted.host, Backlog(noted.since, now, moment, moment)
            )
            backlog.since = min(backlog.since, noted.since)
            backlog.rows.append(noted.id)
            self._restored.add(noted.host)

    def take(self, arrival: Arrival) -> None:
        """Note what of an arrival is late. Never raises: the sender waits for its answer."""
        try:
            self._take(arrival)
        except Exception:
            log.exception("whether data came late could not be told")

    def due(self, moment: float) -> Due | None:
        """Take the backlogs, once all are complete, as far as can be told at a moment (s).

        All together: a rule over many hosts that are back needs the data of each.
        """
        with self._lock:
            backlogs = self._waiting.values()
            quiet = moment - max((each.heard for each in backlogs), default=moment) >= QUIET
            if not quiet and not any(moment - each.began >= PATIENCE for each in backlogs):
                return None
            hosts, self._waiting = self._waiting, {}
            known = self._restored.isdisjoint(hosts)
            self._restored -= hosts.keys()
            refs = np.flatnonzero(self._late)
            numbers = [self._numbers[host] for host in hosts if host in self._numbers]
            refs = refs[np.isin(self._host_of[refs], numbers)]
            self._late[refs] = False
            return Due(hosts, refs if known else None)

    def put_back(self, due: Due, moment: float) -> None:
        """Let backlogs wait again that could not be looked at."""
        with self._lock:
            for host, backlog in due.hosts.items():
                newer = self._waiting.pop(host, backlog)
                since, until = min(backlog.since, newer.since), max(backlog.until, newer.until)
                rows = list({*backlog.rows, *newer.rows})
                self._waiting[host] = Backlog(since, until, moment, moment, rows)
                self._restored.add(host)

    def _take(self, arrival: Arrival) -> None:
        now = self._clock()
        if arrival.earliest >= now - LATE:
            return
        late = (arrival.firsts < now - LATE) & (arrival.firsts >= now - self._reach)
        if not late.any():
            return
        refs, times = arrival.refs[late], arrival.firsts[late]
        fresh: dict[str, int] = {}
        with self._lock:
            self._make_room(int(refs.max()) + 1)
            self._find_hosts(refs)
            self._late[refs] = True
            numbers, places = np.unique(self._host_of[refs], return_inverse=True)
            oldest = np.full(len(numbers), now)
            np.minimum.at(oldest, places, times)
            for number, since in zip(numbers.tolist(), oldest.tolist(), strict=True):
                host = self._hosts[number]
                known = self._waiting.get(host)
                if known is None:
                    known = Backlog(since, now, arrival.moment, arrival.moment)
                    self._waiting[host] = known
                    fresh[host] = since
                elif since < known.since:
                    known.since = fresh[host] = since
                known.until, known.heard = now, arrival.moment
        if fresh:
            self._note(fresh, now)

    def _note(self, since: Mapping[str, int], now: int) -> None:
        try:
            ids = self._rows.add(since, now)
        except LedgerError as error:
            # The samples are stored, and their sender must not wait for the ledger.
            log.error("late data of %d hosts is lost to a restart: %s", len(since), error)
            return
        with self._lock:
            for host, row in ids.items():
                if host in self._waiting:
                    self._waiting[host].rows.append(row)
        for host, oldest in since.items():
            log.info("data of %s comes late, by %d s", host or "a sender", (now - oldest) // 1000)

    def _make_room(self, size: int) -> None:
        more = size - len(self._late)
        if more > 0:
            more += size
            unknown = np.full(more, _UNKNOWN, dtype=np.int32)
            self._host_of = np.concatenate((self._host_of, unknown))
            self._late = np.concatenate((self._late, np.zeros(more, dtype=np.bool_)))

    def _find_hosts(self, refs: Ints) -> None:
        new = refs[self._host_of[refs] == _UNKNOWN]
        if len(new):
            hosts = [dict(labels).get("instance", "") for labels in self._names.labels_of(new)]
            self._host_of[new] = self._numbers_of(hosts)

    def _numbers_of(self, hosts: Sequence[str]) -> list[int]:
        found = []
        for host in hosts:
            number = self._numbers.setdefault(host, len(self._hosts))
            if number == len(self._hosts):
                self._hosts.append(host)
            found.append(number)
        return found
