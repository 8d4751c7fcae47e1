"""How many processes and threads there are, by state, and how many there may be.

Names: node_exporter's collector `processes`. A state that no process is in counts 0 here, where
node_exporter leaves it out: a count that vanishes would look like data that stopped.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress

from forewarn_agent.sources.base import Loop, Reading, Series, SourceContext
from forewarn_agent.sources.procfs import KeptFile

_STATES = "DIRSTZ"
# A host with many processes is counted once a minute: each costs some 10 microseconds.
_MANY = 250
_MANY_EVERY = 60_000
_STAT_SIZE = 1_024


class ProcessesSource:
    """`node_processes_*`."""

    name = "processes"

    def __init__(self, context: SourceContext, proc: str = "/proc") -> None:
        self._context = context
        self._proc = proc
        self._pids = context.series("node_processes_pids")
        self._threads = context.series("node_processes_threads")
        self._limits = [
            (
                KeptFile(f"{proc}/sys/kernel/pid_max"),
                context.series("node_processes_max_processes"),
            ),
            (
                KeptFile(f"{proc}/sys/kernel/threads-max"),
                context.series("node_processes_max_threads"),
            ),
        ]
        self._process_states = _States(context, "node_processes_state", "state")
        self._thread_states = _States(context, "node_processes_threads_state", "thread_state")
        self._counted: list[Reading] = []
        self._counted_at = -_MANY_EVERY

    def start(self, loop: Loop) -> None:
        """Read the limits once, so that a host without /proc says so."""
        for file, _ in self._limits:
            file.read()

    def collect(self, now: int) -> list[Reading]:
        """The readings of one round."""
        pids = [name for name in os.listdir(self._proc) if name.isdigit()]
        if len(pids) <= _MANY or not 0 <= now - self._counted_at < _MANY_EVERY:
            self._counted = self._count(pids)
            self._counted_at = now
        limits = [(series, float(file.read())) for file, series in self._limits]
        return [(self._pids, float(len(pids))), *limits, *self._counted]

    def stop(self) -> None:
        """Close the files."""
        for file, _ in self._limits:
            file.close()

    def _count(self, pids: list[str]) -> list[Reading]:
        processes: Counter[str] = Counter()
        threads: Counter[str] = Counter()
        total = 0
        for pid in pids:
            # A process may end between the listing and the reading; it then counts no more.
            with suppress(OSError):
                state, count = _state(f"{self._proc}/{pid}/stat")
                processes[state] += 1
                total += count
                if count == 1:
                    threads[state] += 1
                else:
                    tasks = f"{self._proc}/{pid}/task"
                    for task in os.listdir(tasks):
                        threads[_state(f"{tasks}/{task}/stat")[0]] += 1
        return [
            (self._threads, float(total)),
            *self._process_states.readings(processes),
            *self._thread_states.readings(threads),
        ]


def _state(path: str) -> tuple[str, int]:
    """State and number of threads in a stat file; the name before them may hold anything."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _STAT_SIZE)
    finally:
        os.close(descriptor)
    words = data[data.rindex(b")") + 2 :].split(None, 18)
    return words[0].decode(), int(words[17])


class _States:
    """A series for every state seen since the start, and for the usual ones."""

    def __init__(self, context: SourceContext, metric: str, label: str) -> None:
        self._context = context
        self._metric = metric
        self._label = label
        self._series: dict[str, Series] = {}
        self.readings(Counter(_STATES))

    def readings(self, counts: Counter[str]) -> list[Reading]:
        for state in counts:
            if state not in self._series:
                series = self._context.series(self._metric, {self._label: state})
                self._series[state] = series
        return [(series, float(counts[state])) for state, series in self._series.items()]
