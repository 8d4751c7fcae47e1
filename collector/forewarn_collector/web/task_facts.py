"""What lists and pages show of a task, in words: its state, how long, for whom, how bad."""

from __future__ import annotations

from dataclasses import dataclass

from forewarn_collector.tasks import Task, TaskState
from forewarn_collector.tasks.identity import severity_rank
from forewarn_collector.tasks.states import Move, possible
from forewarn_collector.web.shown import counted, span

_STATES = {
    TaskState.OPEN: "open",
    TaskState.ACKNOWLEDGED: "acknowledged",
    TaskState.IN_PROGRESS: "in progress",
    TaskState.WAITING: "waiting",
    TaskState.RESOLVED: "resolved",
    TaskState.CLOSED: "closed",
}


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task as of a time (ms)."""

    task: Task
    now: int

    @property
    def address(self) -> str:
        """Its page."""
        return f"/tasks/{self.task.number}"

    @property
    def rank(self) -> int:
        """Of its severity, 0 for the worst."""
        return severity_rank(self.task.severity)

    @property
    def state(self) -> str:
        """Where it stands."""
        return _STATES[self.task.state]

    @property
    def host(self) -> str:
        """The host that all its alerts are of, if that is one."""
        return dict(self.task.labels).get("instance", "")

    @property
    def overdue(self) -> bool:
        """Whether it should have been done."""
        due = self.task.due_at
        return self.task.state.stands and due is not None and due < self.now

    @property
    def open_lag(self) -> int:
        """How much later (ms) than its onset it opened."""
        return self.task.opened_at - self.task.onset_at

    @property
    def moves(self) -> list[Move]:
        """What a person can do to it now."""
        return possible(self.task.state)

    @property
    def sentence(self) -> str:
        """How long it has been wrong, where, and how soon that was known: in one sentence."""
        task = self.task
        where = f" on {self.host}" if self.host else ""
        where += f" of {task.customer}" if task.customer else ""
        lag = span(self.open_lag)
        if task.state.stands and not task.retrospective:
            began = f"Wrong{where} for {span(self.now - task.onset_at)}"
            known = f"it was a task {lag} after it began"
        else:
            ended = task.ended_at or task.resolved_at or task.closed_at or self.now
            began = f"It was wrong{where} for {span(ended - task.onset_at)}"
            known = "known late" if task.retrospective else f"it was a task {lag} after it began"
        back = (
            f", and it has come back {counted(task.flap_count, 'time')}" if task.flap_count else ""
        )
        return f"{began}; {known}{back}."

    @property
    def flaws(self) -> list[tuple[str, str]]:
        """What else there is to know of it: a word, and what it means."""
        task = self.task
        found: list[tuple[str, str]] = []
        if task.flapping_since:
            found.append(("flapping", "It comes and goes; its queue hears again once it is calm."))
        if task.parent:
            found.append((f"under FW-{task.parent}", "Another task holds it: its host is lost."))
        elif task.quiet_since:
            found.append(("quiet", f"Its queue is told nothing: {task.quiet_by}"))
        if task.input_missing_since:
            found.append(("input missing", "What it watches has stopped reporting."))
        if task.retrospective:
            found.append(("retrospective", "It was over before its data came."))
        return found
