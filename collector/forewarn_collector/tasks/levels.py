"""Service levels as collector.yml gives them, for tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from forewarn_collector.calendars import (
    NEXT,
    ServiceLevel,
    Shift,
    StepFrom,
    StepSpec,
    next_in,
    written,
)
from forewarn_collector.calendars.rotation import Rotation
from forewarn_collector.tasks.identity import (
    CUSTOMER,
    SERVICE,
    SEVERITY,
    due_after,
    severity_rank,
    span,
)
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.service import OnCall, Step
from forewarn_wire import Labels


class ConfiguredLevels:
    """The first level that names a task counts; a task that none names is due by severity alone."""

    def __init__(self, levels: Sequence[ServiceLevel]) -> None:
        self._levels = tuple(levels)
        self._escalates = any(level.steps for level in levels)

    @property
    def escalates(self) -> bool:
        """Whether any level has steps."""
        return self._escalates

    def due(self, kind: str, severity: str, customer: str, labels: Labels, opened_at: int) -> int:
        """By the level's `due`, in its business time; else as long as without a level."""
        level = self._level({**dict(labels), CUSTOMER: customer, SEVERITY: severity})
        if level is None:
            return opened_at + due_after(severity)
        return level.hours.add(opened_at, _promised(level.due, severity))

    def steps(self, task: Task, since: int) -> Sequence[Step]:
        """The steps of the task's level, but for those that its acknowledgement makes needless."""
        level = self._level_of(task)
        if level is None:
            return ()
        acknowledged = task.acknowledged_at is not None
        wanted = [s for s in level.steps if not (acknowledged and s.stops_on_acknowledgement)]
        return sorted(_steps(level, wanted, task, since), key=lambda step: step.at)

    def on_call(self, task: Task, at: int) -> OnCall | None:
        """Whoever has the turn in the rotation of the task's level."""
        level = self._level_of(task)
        if level is None or level.rotation is None:
            return None
        shift = level.rotation.shift(at)
        if shift is None:
            return None
        return OnCall(shift.who, _why(shift, level.rotation))

    def _level_of(self, task: Task) -> ServiceLevel | None:
        own = {CUSTOMER: task.customer, SERVICE: task.service, SEVERITY: task.severity}
        return self._level({**dict(task.labels), **own})

    def _level(self, labels: Mapping[str, str]) -> ServiceLevel | None:
        for level in self._levels:
            if level.concerns(labels):
                return level
        return None


def _promised(due: Mapping[str, int], severity: str) -> int:
    """By its own name, else by that of another severity as bad, else as without a level."""
    if severity in due:
        return due[severity]
    alike = [s for s in due if severity_rank(s) == severity_rank(severity)]
    return due[alike[0]] if alike else due_after(severity)


def _steps(
    level: ServiceLevel, wanted: Sequence[StepSpec], task: Task, since: int
) -> Iterator[Step]:
    for spec in wanted:
        at, reason = _when(level, spec, task, since)
        if at is None:
            continue
        assignee, because = spec.assign, ""
        if assignee == NEXT and level.rotation is not None:
            shift = next_in(level.rotation, task.assignee, at)
            # Whoever is alone in a rotation keeps it.
            assignee, because = (
                (shift.who, _why(shift, level.rotation)) if shift is not None else ("", "")
            )
        name = f"{level.name}/{spec.name}"
        yield Step(name, at, reason, spec.queue, spec.severity, assignee, because)


def _when(level: ServiceLevel, spec: StepSpec, task: Task, since: int) -> tuple[int | None, str]:
    """When a step is due, in ms, and what is said of that."""
    wait = span(spec.wait)
    if spec.counts_from is StepFrom.OPENED:
        if spec.stops_on_acknowledgement:
            return level.hours.add(since, spec.wait), f"nobody has acknowledged it for {wait}"
        return level.hours.add(since, spec.wait), f"it has been open for {wait}"
    if task.due_at is None:
        return None, ""
    if spec.counts_from is StepFrom.BEFORE_DUE:
        return level.hours.subtract(task.due_at, spec.wait), f"it is due in {wait}"
    late = f"it is overdue by {wait}" if spec.wait else "it is overdue"
    return level.hours.add(task.due_at, spec.wait), late


def _why(shift: Shift, rotation: Rotation) -> str:
    return f"{shift.why}, on call until {written(shift.end, rotation.zone)}"
