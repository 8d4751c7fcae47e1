"""From the configuration to the policy of tasks: queues, where alerts belong, what holds them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.config import CollectorConfig, ConfigError
from forewarn_collector.notifications import Templates, templates_of
from forewarn_collector.queues import (
    Queue,
    queue_of_each,
    queues_from_section,
    queues_of_receivers,
)
from forewarn_collector.rules import RuleFileError, RuleSet, TemplateContext
from forewarn_collector.silencing import AlertmanagerFile, read_alertmanager_file
from forewarn_collector.tasks import AlertmanagerPlace, ByRule, Ledger, LostHosts, Policy
from forewarn_collector.tasks.incidents import ByIncident, Incident
from forewarn_collector.tasks.levels import ConfiguredLevels
from forewarn_collector.tasks.policy import RuleLookup
from forewarn_collector.tasks.windows import Dependencies, Windows
from forewarn_wire import Problem

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Routing:
    """An alertmanager.yml that is good, with the templates of its messages."""

    file: AlertmanagerFile
    templates: Templates


def routing_of(config: CollectorConfig) -> Routing | None:
    """The alertmanager.yml, if one is given; what is wrong with it goes to the configuration's."""
    if config.alertmanager is None:
        return None
    try:
        return read_routing(config.alertmanager)
    except ConfigError as error:
        if any(problem.line for problem in error.problems):
            config.problems.extend(error.problems)
        elif not config.problems:
            raise
        return None  # the configuration has it among its problems, which are told together


def read_routing(path: Path) -> Routing:
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
    return Routing(file, checked.templates)


def receivers_of(
    routing: Routing | None, external_url: str, failed: Callable[[str], None]
) -> dict[str, Queue]:
    """The queues that its receivers are. `failed` hears of templates. Raises ConfigError."""
    if routing is None:
        return {}
    try:
        return queues_of_receivers(routing.file, routing.templates, external_url, failed)
    except OSError as error:
        said = f"a certificate can't be used: {error}"
        raise ConfigError([Problem(routing.file.file, 0, 0, said)]) from error


def queues_of(config: CollectorConfig) -> dict[str, Queue]:
    """Those of the configuration. Raises ConfigError with all that is wrong with that."""
    queues = queues_from_section(config.queues) if config.queues is not None else {}
    if config.problems:
        raise ConfigError(config.problems)
    return queues


def check_named_queues(config: CollectorConfig, queues: Collection[str]) -> None:
    """Raises ConfigError where the configuration names a queue that is not there any more."""
    steps = [step.queue for level in config.service.levels for step in level.steps]
    problems = [
        Problem(str(config.alertmanager), 0, 0, f"no receiver {name}, which collector.yml names")
        for name in sorted({config.default_queue, *steps} - {"", *queues})
    ]
    if problems:
        raise ConfigError(problems)


def check_queues_of(rules: RuleSet, queues: Sequence[str]) -> None:
    """Raises RuleFileError where a rule names a queue that is not there."""
    problems = [
        Problem(
            rule.file,
            rule.line,
            1,
            f"{rule.name}: there is no queue {rule.task.queue}",
            f"queues of the configuration: {', '.join(queues) or 'none'}",
        )
        for rule in rules.alerting().values()
        if rule.task.queue and rule.task.queue not in queues
    ]
    if problems:
        raise RuleFileError(problems)


def place_of(
    config: CollectorConfig,
    ledger: Ledger,
    routing: Routing | None,
    queues: Collection[str],
    external_url: str,
    rule_of: RuleLookup,
) -> AlertmanagerPlace:
    """What stands in an Alertmanager's place; `rule_of` knows the rules in force."""
    return AlertmanagerPlace(
        ledger,
        None if routing is None else routing.file,
        queue_of_receivers(config, routing, queues),
        config.default_queue,
        rule_of,
        external_url,
    )


def queue_of_receivers(
    config: CollectorConfig, routing: Routing | None, queues: Collection[str]
) -> dict[str, str]:
    """The queue that takes the tasks of each receiver."""
    receivers = {} if routing is None else routing.file.receivers
    return queue_of_each(receivers, queues, config.default_queue)


def policy_of(
    config: CollectorConfig,
    incidents: tuple[Incident, ...],
    external_url: str,
    place: AlertmanagerPlace,
) -> Policy:
    """The policy that `collector.yml` and its alertmanager.yml ask for."""
    return Policy(
        placing=ByIncident(place.placing(ByRule(config.default_queue)), incidents),
        gates=(
            *place.gates,
            Windows(config.calendars.windows),
            Dependencies(config.service.dependencies),
            LostHosts(),
        ),
        levels=ConfiguredLevels(config.service.levels),
        damping=config.damping,
        templates=TemplateContext(
            external_url=external_url, external_labels=dict(config.external_labels)
        ),
        rule_of=place.rule_of,
    )


def member_of(config: CollectorConfig) -> str:
    """This collector among those that share a ledger: the same after a restart."""
    return f"{socket.gethostname()}:{config.data.resolve()}"
