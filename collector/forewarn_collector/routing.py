"""The queues of the configuration and of its alertmanager.yml, and that file read anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.config import CollectorConfig, ConfigError
from forewarn_collector.metrics import Metrics
from forewarn_collector.notifications import Templates, templates_of
from forewarn_collector.queues import (
    Queue,
    QueueWorkers,
    queues_from_section,
    queues_of_each,
    queues_of_receivers,
)
from forewarn_collector.silencing import AlertmanagerFile, read_alertmanager_file
from forewarn_collector.tasks import AlertmanagerPlace, Ledger
from forewarn_collector.tasks.policy import RuleLookup
from forewarn_wire import Problem

log = logging.getLogger(__name__)


class Routes:
    """What is in force of both files. `queues` are all by their names, in `names` sorted.

    A queue of the configuration stands for a receiver of the same name.
    """

    def __init__(self, config: CollectorConfig, external_url: str, metrics: Metrics) -> None:
        """Raises ConfigError with all that is wrong with the configuration."""
        self._config = config
        self._external_url = external_url
        self._metrics = metrics
        self._routing = _routing_of(config)
        self._own = _queues_of(config)
        self._receivers = self._receivers_of(self._routing)
        self.queues = self._receivers | self._own
        self.names = sorted(self.queues)
        self._changing: asyncio.Task[None] | None = None

    def place(self, ledger: Ledger, rule_of: RuleLookup) -> AlertmanagerPlace:
        """What stands in an Alertmanager's place; `rule_of` knows the rules in force."""
        return AlertmanagerPlace(
            ledger,
            None if self._routing is None else self._routing.file,
            self._queues_of_each(),
            self._config.default_queue,
            rule_of,
            self._external_url,
        )

    def reload(self, place: AlertmanagerPlace, workers: QueueWorkers) -> str:
        """Read the alertmanager.yml anew, on the event loop; why it was refused, if it was.

        What is refused leaves what runs in force.
        """
        path = self._config.alertmanager
        if path is None:
            return ""
        try:
            routing = _read(path)
            receivers = self._receivers_of(routing)
            _check_names(self._config, receivers.keys() | self._own.keys())
        except ConfigError as error:
            self._metrics.alertmanager_reloads.labels("refused").inc()
            self._metrics.alertmanager_current.set(0)
            log.error("%s stays as it was, the new one is refused:\n%s", path, error)
            return str(error)
        gone = self._receivers.keys() - receivers.keys()
        self._routing, self._receivers = routing, receivers
        self.queues = receivers | self._own
        # In place: others look at the same list.
        self.names[:] = sorted(self.queues)
        place.take(routing.file, self._queues_of_each())
        # Kept, since a task that nobody holds may be collected before it has run.
        self._changing = asyncio.create_task(workers.change(receivers, gone))
        self._metrics.alertmanager_reloads.labels("taken").inc()
        self._metrics.alertmanager_current.set(1)
        log.info("%s reloaded: %d receivers", path, len(routing.file.receivers))
        return ""

    def _receivers_of(self, routing: _Routing | None) -> dict[str, Queue]:
        """The queues that its receivers are. Raises ConfigError."""
        if routing is None:
            return {}
        failures = self._metrics.template_failures
        try:
            return queues_of_receivers(
                routing.file,
                routing.templates,
                self._external_url,
                lambda queue: failures.labels(queue).inc(),
                self._own,
            )
        except OSError as error:
            said = f"a certificate can't be used: {error}"
            raise ConfigError([Problem(routing.file.file, 0, 0, said)]) from error

    def _queues_of_each(self) -> dict[str, tuple[str, ...]]:
        """The queues that take the tasks of each receiver."""
        receivers = {} if self._routing is None else self._routing.file.receivers
        return queues_of_each(receivers, self._own, self._config.default_queue)


@dataclass(frozen=True, slots=True)
class _Routing:
    """An alertmanager.yml that is good, with the templates of its messages."""

    file: AlertmanagerFile
    templates: Templates


def _routing_of(config: CollectorConfig) -> _Routing | None:
    """The alertmanager.yml, if one is given; what is wrong with it goes to the configuration's."""
    if config.alertmanager is None:
        return None
    try:
        return _read(config.alertmanager)
    except ConfigError as error:
        if any(problem.line for problem in error.problems):
            config.problems.extend(error.problems)
        elif not config.problems:
            raise
        return None  # the configuration has it among its problems, which are told together


def _read(path: Path) -> _Routing:
    """Read an alertmanager.yml; what of it is not taken is logged. Raises ConfigError."""
    try:
        content = path.read_text("utf-8", "replace")
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error}")]) from error
    file = read_alertmanager_file(content, str(path))
    checked = templates_of(file)
    problems = (*file.problems, *checked.problems)
    if problems:
        raise ConfigError(problems)
    for note in (*file.notes, *checked.notes):
        log.warning("not taken: %s", note)
    return _Routing(file, checked.templates)


def _queues_of(config: CollectorConfig) -> dict[str, Queue]:
    """Those of the configuration. Raises ConfigError with all that is wrong with that."""
    queues = queues_from_section(config.queues) if config.queues is not None else {}
    if config.problems:
        raise ConfigError(config.problems)
    return queues


def _check_names(config: CollectorConfig, queues: Collection[str]) -> None:
    """Raises ConfigError where the configuration names a queue that is not there any more."""
    steps = [step.queue for level in config.service.levels for step in level.steps]
    problems = [
        Problem(str(config.alertmanager), 0, 0, f"no receiver {name}, which collector.yml names")
        for name in sorted({config.default_queue, *steps} - {"", *queues})
    ]
    if problems:
        raise ConfigError(problems)
