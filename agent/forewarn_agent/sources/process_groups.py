"""Configured groups of processes: counted by round, and the moment a member starts or ends.

Each member is watched through a pidfd, so its end is noticed at once. No descriptor tells of a
start; so while a group is short of processes, the kernel's last pid is looked at twice a second,
and the list of processes is read when that has changed.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from forewarn_agent.settings import ProcessGroup
from forewarn_agent.sources.base import Handle, Loop, Reading, SourceContext
from forewarn_agent.sources.exit_status import describe, wait_status
from forewarn_agent.sources.process_group import Group, Member
from forewarn_agent.sources.process_stat import ProcessStat, read_file, read_stat, read_use
from forewarn_agent.sources.procfs import KeptFile
from forewarn_wire import Event, Severity

_LOOK_SECONDS = 0.5
# Just after a fork a process is a copy of its parent, about to run another program.
_SETTLED_SECONDS = 0.2
# A group that has stayed smaller for so long is meant to be smaller.
_SHORT_SECONDS = 60.0
_EVENTS_PER_ROUND = 20
_PIDFD_OPEN: Callable[[int], int] | None = getattr(os, "pidfd_open", None)


class ProcessGroupsSource:
    """`namedprocess_namegroup_*`, and the events process_start and process_exit.

    As in process-exporter, a process belongs to the first group that it matches. `open_pidfd`
    and `uptime` (seconds since the host's start) stand for the kernel's own in tests.
    """

    name = "process_groups"

    def __init__(
        self,
        context: SourceContext,
        settings: Sequence[ProcessGroup],
        proc: str = "/proc",
        open_pidfd: Callable[[int], int] | None = _PIDFD_OPEN,
        uptime: Callable[[], float] | None = None,
    ) -> None:
        self._instance = context.instance
        self._proc = proc
        self._open_pidfd = open_pidfd
        self._uptime = uptime or partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        self._groups = [_Watched(Group(context, one, proc)) for one in settings]
        self._loadavg = KeptFile(f"{proc}/loadavg")
        self._members: dict[int, Member] = {}
        self._loop: Loop | None = None
        self._timer: Handle | None = None
        self._boot_time = 0.0
        self._last_pid = b""
        # For each pid: its /proc inode, which a later process of that pid does not share, and
        # the uptime at which it is looked at again, since it may run another program by then.
        self._seen: dict[str, tuple[int, float]] = {}
        self._due = 0.0
        self._news: list[Event] = []
        self._changed: dict[str, Group] = {}

    def start(self, loop: Loop) -> None:
        """Find and watch the members there are; they make no event."""
        for line in read_file(f"{self._proc}/stat").splitlines():
            if line.startswith(b"btime "):
                self._boot_time = float(line.split()[1])
        self._last_pid = self._newest_pid()
        self._loop = loop
        self._look(loop, announce=False)
        self._look_later(loop)

    def collect(self, now: int) -> list[Reading]:
        """The readings of all groups."""
        loop = self._running()
        self._look_if_changed(loop)
        readings: list[Reading] = []
        for watched in self._groups:
            for member in watched.group.refresh():
                self._lose(loop, member)
            readings += watched.group.readings(self._boot_time)
            if watched.untold:
                self._news.append(self._summary(loop, watched))
            watched.events = watched.untold = 0
        self._tell(loop)
        self._look_later(loop)
        return readings

    def stop(self) -> None:
        """Close the pidfds and call off the timer."""
        if self._timer is not None:
            self._timer.cancel()
        for member in list(self._members.values()):
            self._forget(member)
        self._seen = {}
        self._loadavg.close()
        self._loop = None

    def _running(self) -> Loop:
        if self._loop is None:
            raise RuntimeError("the source was not started")
        return self._loop

    def _newest_pid(self) -> bytes:
        try:
            return self._loadavg.read().rpartition(b" ")[2]
        except OSError:
            return b""

    def _look_if_changed(self, loop: Loop) -> None:
        newest = self._newest_pid()
        if newest != self._last_pid or not newest or self._uptime() >= self._due:
            self._last_pid = newest
            self._look(loop, announce=True)

    def _look(self, loop: Loop, announce: bool) -> None:
        """Read the list of processes; examine the new ones and those due to be looked at again."""
        for watched in self._groups:
            pid = watched.group.read_pidfile()
            if pid is not None:
                self._seen.pop(str(pid), None)
        uptime = self._uptime()
        seen: dict[str, tuple[int, float]] = {}
        with os.scandir(self._proc) as entries:
            for entry in entries:
                pid_text = entry.name
                if pid_text.isdigit():
                    inode = entry.inode()
                    known = self._seen.get(pid_text)
                    if known is None or known[0] != inode or known[1] <= uptime:
                        due = self._examine(loop, int(pid_text), uptime, announce)
                        known = (inode, due)
                    seen[pid_text] = known
        self._seen = seen
        self._due = min((due for _, due in seen.values()), default=math.inf)

    def _examine(self, loop: Loop, pid: int, uptime: float, announce: bool) -> float:
        """Put a process into its group, or out of it. Returns when to look at it again."""
        stat = read_stat(self._proc, pid)
        if stat is None:
            return uptime
        age = uptime - stat.started_seconds
        # Age is below zero in a container whose clock starts later than its host's. At the start
        # every process counts as it is, lest a service that has just begun seems to be down.
        if announce and 0 <= age < _SETTLED_SECONDS:
            return uptime + _SETTLED_SECONDS - age
        member = self._members.get(pid)
        if member is not None and member.stat.started != stat.started:
            self._lose(loop, member)
            member = None
        # One that has ended but is not yet reaped is still listed.
        ended = stat.state in "ZX" and member is None
        found = None if ended else self._match(stat)
        if member is not None and (found is None or member.group is not found.group):
            # It runs another program now: nothing has ended.
            self._forget(member)
            self._changed[member.group.name] = member.group
            member = None
        if found is not None and member is None:
            self._gain(loop, found, stat, age if announce else None)
        # Later and later: a process that has run long rarely runs another program.
        return uptime + max(age, _SETTLED_SECONDS)

    def _match(self, stat: ProcessStat) -> _Watched | None:
        return next((one for one in self._groups if one.group.matches(stat)), None)

    def _gain(self, loop: Loop, watched: _Watched, stat: ProcessStat, age: float | None) -> None:
        member = Member(watched.group, stat, read_use(self._proc, stat.pid))
        if self._open_pidfd is not None:
            try:
                member.pidfd = self._open_pidfd(stat.pid)
            except OSError:
                # No descriptor to be had: its end is noticed by the next round.
                member.pidfd = -1
        again = read_stat(self._proc, stat.pid)
        if again is None or again.started != stat.started:
            # It ended before the pidfd was open, which may be of another process then.
            self._close(member)
            return
        self._members[stat.pid] = member
        watched.group.add(member)
        watched.expected = max(watched.expected, len(watched.group.members))
        if member.pidfd >= 0:
            loop.watch(member.pidfd, partial(self._ended, loop, member))
        if age is not None:
            self._changed[watched.group.name] = watched.group
            at = loop.clock() - max(0, round(age * 1000))
            self._note(watched, self._event(member, "process_start", at, "has started", {}))

    def _ended(self, loop: Loop, member: Member) -> None:
        """A pidfd became readable."""
        if self._members.get(member.stat.pid) is member:
            self._lose(loop, member)
            self._look_later(loop)

    def _lose(self, loop: Loop, member: Member) -> None:
        stat = member.stat
        status = wait_status(self._proc, stat.pid, stat.started, member.pidfd)
        self._forget(member)
        self._changed[member.group.name] = member.group
        words, attributes = describe(status)
        event = self._event(member, "process_exit", loop.clock(), words, attributes)
        watched = next(one for one in self._groups if one.group is member.group)
        watched.short_since = time.monotonic()
        self._note(watched, event)
        # Told after all pidfds that are ready now have been seen to, in one sending.
        if len(self._changed) == 1:
            loop.call_soon_threadsafe(partial(self._tell, loop))

    def _forget(self, member: Member) -> None:
        del self._members[member.stat.pid]
        member.group.remove(member)
        self._close(member)

    def _close(self, member: Member) -> None:
        if member.pidfd >= 0:
            if self._loop is not None:
                self._loop.unwatch(member.pidfd)
            os.close(member.pidfd)
            member.pidfd = -1

    def _tell(self, loop: Loop) -> None:
        """Send what has changed since the last time."""
        changed, self._changed = list(self._changed.values()), {}
        news, self._news = self._news, []
        if self._loop is None:
            return
        readings: list[Reading] = []
        for group in changed:
            readings += group.changed_readings(self._boot_time)
        if readings:
            loop.send_now(readings)
        if news:
            loop.emit(news)

    def _note(self, watched: _Watched, event: Event) -> None:
        if watched.events < _EVENTS_PER_ROUND:
            watched.events += 1
            self._news.append(event)
        else:
            watched.untold += 1

    def _event(
        self, member: Member, kind: str, at: int, words: str, attributes: dict[str, str]
    ) -> Event:
        stat, group = member.stat, member.group
        return Event(
            time=at,
            type=kind,
            severity=Severity.INFO if kind == "process_start" else Severity.WARN,
            labels=group.labels,
            body=f"{stat.comm} (pid {stat.pid}) {words}; {group.name} has {len(group.members)} now",
            uid=f"{kind}/{self._instance}/{group.name}/{self._boot_time:.0f}/{stat.pid}/{stat.started}",
            attributes={
                "pid": str(stat.pid),
                "parent_pid": str(stat.parent),
                "comm": stat.comm,
                "processes": str(len(group.members)),
                **attributes,
            },
        )

    def _summary(self, loop: Loop, watched: _Watched) -> Event:
        group = watched.group
        return Event(
            time=loop.clock(),
            type="process_churn",
            severity=Severity.WARN,
            labels=group.labels,
            body=f"{watched.untold} more starts and exits in {group.name} within one round",
            uid=f"process_churn/{self._instance}/{group.name}/{loop.clock()}",
            attributes={"count": str(watched.untold)},
        )

    def _look_later(self, loop: Loop) -> None:
        """Look again soon while a group is short of processes, when a new one has settled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if any(watched.is_short() for watched in self._groups):
            wait = min(max(self._due - self._uptime(), _SETTLED_SECONDS), _LOOK_SECONDS)
            self._timer = loop.call_later(wait, partial(self._look_again, loop))

    def _look_again(self, loop: Loop) -> None:
        self._timer = None
        self._look_if_changed(loop)
        self._tell(loop)
        self._look_later(loop)


class _Watched:
    """A group, and what is expected of it."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.expected = 0
        self.short_since = 0.0
        self.events = 0
        self.untold = 0

    def is_short(self) -> bool:
        """Whether it has no process, or has lost some a short while ago."""
        count = len(self.group.members)
        if 0 < count < self.expected and time.monotonic() - self.short_since > _SHORT_SECONDS:
            self.expected = count
        return count == 0 or count < self.expected
