"""One group of processes: who belongs to it, and what its members use together.

Names: process-exporter's, https://github.com/ncabatoff/process-exporter. Counters go on rising
when members end: what an ended member had used stays in the sum.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import add
from os.path import basename

from forewarn_agent.settings import ProcessGroup
from forewarn_agent.sources.base import Reading, Series, SourceContext
from forewarn_agent.sources.process_stat import (
    ProcessStat,
    ProcessUse,
    read_command,
    read_file,
    read_program,
    read_stat,
    read_use,
)

JOB = "process"

_STATES = {"R": "Running", "S": "Sleeping", "D": "Waiting", "Z": "Zombie"}
_STATE_NAMES = ("Running", "Sleeping", "Waiting", "Zombie", "Other")
_COUNTERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("cpu_seconds_total", {"mode": "user"}),
    ("cpu_seconds_total", {"mode": "system"}),
    ("major_page_faults_total", {}),
    ("minor_page_faults_total", {}),
    ("context_switches_total", {"ctxswitchtype": "voluntary"}),
    ("context_switches_total", {"ctxswitchtype": "nonvoluntary"}),
    ("read_bytes_total", {}),
    ("write_bytes_total", {}),
)
_PLAIN_COUNTERS = 6  # those that anybody may read, before those of /proc/PID/io
_COMM_LENGTH = 15  # the kernel keeps no more of a name


@dataclass(slots=True, eq=False)
class Member:
    """A process that belongs to a group, as last read; `pidfd` is -1 where there is none."""

    group: Group
    stat: ProcessStat
    use: ProcessUse
    pidfd: int = -1

    def counters(self) -> tuple[float, ...]:
        """What it has used in its life, in the order of `_COUNTERS`."""
        return (
            self.stat.user_seconds,
            self.stat.system_seconds,
            self.stat.major_faults,
            self.stat.minor_faults,
            self.use.voluntary_switches,
            self.use.nonvoluntary_switches,
            self.use.read_bytes or 0,
            self.use.write_bytes or 0,
        )


class Group:
    """A configured group with its present members."""

    def __init__(self, context: SourceContext, settings: ProcessGroup, proc: str) -> None:
        self.name = settings.name
        self.members: dict[int, Member] = {}
        self._proc = proc
        self._comms = {comm[:_COMM_LENGTH] for comm in settings.comm}
        self._programs = set(settings.exe)
        self._commands = [re.compile(expression) for expression in settings.cmdline]
        self._pidfile = settings.pidfile
        self._pid = -1
        self._ended = (0.0,) * len(_COUNTERS)
        self._sees_io = False
        self._sees_files = False

        labels = {"groupname": settings.name}
        self.labels = context.label_set(JOB, labels)

        def series(metric: str, **more: str) -> Series:
            return context.series(f"namedprocess_namegroup_{metric}", {**labels, **more}, job=JOB)

        self._num_procs = series("num_procs")
        self._num_threads = series("num_threads")
        self._oldest_start = series("oldest_start_time_seconds")
        self._memory = [
            series("memory_bytes", memtype=kind) for kind in ("resident", "virtual", "swapped")
        ]
        self._states = {state: series("states", state=state) for state in _STATE_NAMES}
        self._counters = [series(metric, **more) for metric, more in _COUNTERS]
        self._open_files = series("open_filedesc")
        self._worst_ratio = series("worst_fd_ratio")

    def read_pidfile(self) -> int | None:
        """The number in the group's pid file when it is another than at the last reading."""
        if not self._pidfile:
            return None
        text = read_file(self._pidfile).strip()
        pid = int(text) if text.isdigit() else -1
        if pid == self._pid:
            return None
        self._pid = pid
        return pid

    def matches(self, stat: ProcessStat) -> bool:
        """Whether every configured condition holds for a process."""
        if self._pidfile and stat.pid != self._pid:
            return False
        if self._comms and stat.comm not in self._comms:
            return False
        if not (self._programs or self._commands):
            return True
        command = read_command(self._proc, stat.pid)
        if self._programs:
            paths = {read_program(self._proc, stat.pid), *command[:1]} - {""}
            if not self._programs & (paths | {basename(path) for path in paths}):
                return False
        line = " ".join(command)
        return all(expression.search(line) for expression in self._commands)

    def add(self, member: Member) -> None:
        """Take a process in."""
        self.members[member.stat.pid] = member

    def remove(self, member: Member) -> None:
        """Let a process go; what it had used stays counted."""
        if self.members.pop(member.stat.pid, None) is not None:
            self._ended = tuple(map(add, self._ended, member.counters()))

    def refresh(self) -> list[Member]:
        """Read all members anew. Returns those that are gone, or are another process by now."""
        gone = []
        for pid, member in self.members.items():
            stat = read_stat(self._proc, pid)
            if stat is None or stat.started != member.stat.started:
                gone.append(member)
            else:
                member.stat = stat
                member.use = read_use(self._proc, pid)
        return gone

    def changed_readings(self, boot_time: float) -> list[Reading]:
        """What a start or an exit changes, to be sent at once."""
        readings = [(self._num_procs, float(len(self.members)))]
        if self.members:
            oldest = min(member.stat.started_seconds for member in self.members.values())
            # Left out of an empty group: 0 would read as a start in 1970.
            readings.append((self._oldest_start, float(int(boot_time + oldest))))
        return readings

    def readings(self, boot_time: float) -> list[Reading]:
        """All readings of the group, from what `refresh` read. `boot_time`: seconds since epoch.

        Input, output and open files appear once the agent may see them for some member.
        """
        members = self.members.values()
        stats = [member.stat for member in members]
        uses = [member.use for member in members]
        memory = (
            sum(use.resident for use in uses),
            sum(stat.virtual for stat in stats),
            sum(use.swapped for use in uses),
        )
        states = dict.fromkeys(_STATE_NAMES, 0)
        for stat in stats:
            states[_STATES.get(stat.state, "Other")] += 1
        readings = self.changed_readings(boot_time)
        readings.append((self._num_threads, float(sum(stat.threads for stat in stats))))
        readings += zip(self._memory, map(float, memory), strict=True)
        readings += [(self._states[state], float(count)) for state, count in states.items()]
        return readings + self._counter_readings() + self._file_readings(uses)

    def _counter_readings(self) -> list[Reading]:
        sums = self._ended
        for member in self.members.values():
            sums = tuple(map(add, sums, member.counters()))
            self._sees_io = self._sees_io or member.use.read_bytes is not None
        readings = list(zip(self._counters, map(float, sums), strict=True))
        return readings if self._sees_io else readings[:_PLAIN_COUNTERS]

    def _file_readings(self, uses: list[ProcessUse]) -> list[Reading]:
        opened = [
            (use.open_files, use.max_open_files) for use in uses if use.open_files is not None
        ]
        self._sees_files = self._sees_files or bool(opened)
        if not self._sees_files:
            return []
        worst = max((count / limit for count, limit in opened if limit), default=0.0)
        return [
            (self._open_files, float(sum(count for count, _ in opened))),
            (self._worst_ratio, worst),
        ]
