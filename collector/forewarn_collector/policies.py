"""From the configuration to the policy of tasks: queues, where alerts belong, what holds them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Collection, Sequence

from forewarn_collector.config import CollectorConfig, ConfigError
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


def routing_of(config: CollectorConfig) -> AlertmanagerFile | None:
    """The alertmanager.yml, if one is given; what is wrong with it goes to the configuration's."""
    path = config.alertmanager
    if path is None:
        return None
    try:
        content = path.read_text("utf-8", "replace")
    except OSError as error:
        if not config.problems:
            raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error}")]) from error
        return None  # the configuration has it among its problems, which are told together
    file = read_alertmanager_file(content, str(path))
    config.problems.extend(file.problems)
    for note in file.notes:
        log.warning("not taken: %s", note)
    return file


def queues_of(
    config: CollectorConfig, routing: AlertmanagerFile | None, external_url: str
) -> dict[str, Queue]:
    """Those of the configuration, and those of Alertmanager's receivers of other names.

    Raises ConfigError with all that is wrong with the configuration.
    """
    queues = queues_from_section(config.queues) if config.queues is not None else {}
    receivers: dict[str, Queue] = {}
    if routing is not None and not config.problems:
        try:
            receivers = queues_of_receivers(routing, external_url)
        except OSError as error:
            said = f"a certificate can't be used: {error}"
            config.problems.append(Problem(str(config.alertmanager), 0, 0, said))
    if config.problems:
        raise ConfigError(config.problems)
    return receivers | queues


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
    routing: AlertmanagerFile | None,
    queues: Collection[str],
    external_url: str,
    rule_of: RuleLookup,
) -> AlertmanagerPlace:
    """What stands in an Alertmanager's place; `rule_of` knows the rules in force."""
    receivers = {} if routing is None else routing.receivers
    return AlertmanagerPlace(
        ledger,
        routing,
        queue_of_each(receivers, queues, config.default_queue),
        config.default_queue,
        rule_of,
        external_url,
    )


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
