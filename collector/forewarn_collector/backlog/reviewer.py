"""Looks at backlogs one after another on a thread of its own, in slices that leave room."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forewarn_collector.backlog.collecting import Backlogs, Due
from forewarn_collector.backlog.findings import Review, review
from forewarn_collector.rules.backtest import Progress
from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.rules.schedule import Scheduler, Source
from forewarn_collector.tasks.retrospect import Outcome, Retrospect
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

SHARE = 0.25
"""Of one core, what looking at backlogs may take."""

_TICK_SECONDS = 1.0
_LONGEST_PAUSE = 2.0
_RETRY_SECONDS = 30.0
_NAMED = 5


class _StoppedError(Exception):
    """The collector stops; what was begun is done anew after its next start."""


@dataclass(slots=True)
class ReviewStats:
    """What became of backlogs since the start. `seconds` is the CPU time of this thread."""

    reviews: int = 0
    failures: int = 0
    seconds: float = 0.0
    outcomes: Counter[Outcome] = field(default_factory=Counter)


class Reviewer:
    """From `start` to `stop`; without them, `look` does the same work when it is called."""

    def __init__(
        self,
        backlogs: Backlogs,
        source: Source,
        scheduler: Scheduler,
        retrospect: Retrospect,
        clock: Clock,
        *,
        external_url: str = "",
        external_labels: Mapping[str, str] | None = None,
    ) -> None:
        self.stats = ReviewStats()
        self._backlogs = backlogs
        self._source = source
        self._scheduler = scheduler
        self._retrospect = retrospect
        self._clock = clock
        self._external_url = external_url
        self._external_labels = external_labels or {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy_since = 0.0

    @property
    def waiting(self) -> int:
        """Of how many hosts a backlog waits."""
        return self._backlogs.waiting

    def start(self) -> None:
        """Begin to look at what waits."""
        self._thread = threading.Thread(target=self._run, name="backlogs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, at the end of a slice."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def look(self, moment: float) -> bool:
        """Look at the backlogs that are complete at a moment (s); whether there were any."""
        due = self._backlogs.due(moment)
        if due is None:
            return False
        began = time.thread_time()
        self._busy_since = began
        try:
            self._review(due)
        except _StoppedError:
            return False
        except Exception:
            self.stats.failures += 1
            log.exception("late data of %s is looked at again in %d s", _names(due), _RETRY_SECONDS)
            self._backlogs.put_back(due, moment + _RETRY_SECONDS)
        finally:
            self.stats.seconds += time.thread_time() - began
        return True

    def _review(self, due: Due) -> None:
        began = time.monotonic()
        now = self._clock()
        rules = RuleSet(tuple(status.group for status in self._scheduler.groups()))
        live = {
            (rule.rule.key, labels)
            for status in self._scheduler.groups()
            for rule in status.rules
            if isinstance(rule.rule, AlertingRule) and rule.rule.keep_firing_for
            for labels in rule.standing.alerts()
        }
        found = review(
            rules,
            self._source,
            due,
            now,
            live,
            watch=self._pause,
            external_url=self._external_url,
            external_labels=self._external_labels,
        )
        outcomes = self._retrospect.keep(found.findings, self._retrospect.gather(found.findings))
        self._scheduler.begun_earlier(
            found.begins, lambda begun: self._retrospect.conclude(begun, due.rows)
        )
        self.stats.reviews += 1
        self.stats.outcomes.update(outcomes)
        self._tell(due, found, outcomes, now, time.monotonic() - began)

    def _tell(
        self, due: Due, found: Review, outcomes: Sequence[Outcome], now: int, seconds: float
    ) -> None:
        counts = Counter(outcomes)
        log.info(
            "late data of %s from %d s ago on: %d rules evaluated %d times in %.1f s;"
            " retrospective tasks: %d, noted in tasks: %d, known: %d, still standing: %d",
            _names(due),
            (now - min(backlog.since for backlog in due.hosts.values())) // 1000,
            found.rules,
            found.evaluations,
            seconds,
            *(counts[outcome] for outcome in Outcome),
        )

    def _pause(self, _: Progress) -> None:
        """After a slice of work, rest as much longer as the share says."""
        busy = time.thread_time() - self._busy_since
        if self._stopped.wait(min(busy * (1 / SHARE - 1), _LONGEST_PAUSE)):
            raise _StoppedError
        self._busy_since = time.thread_time()

    def _run(self) -> None:
        while not self._stopped.wait(_TICK_SECONDS):
            self.look(time.monotonic())


def _names(due: Due) -> str:
    hosts = sorted(due.hosts)
    more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
    return ", ".join(host or "a sender" for host in hosts[:_NAMED]) + more
