"""From the configuration to the policy of tasks: where alerts belong, what holds them."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from forewarn_collector.config import CollectorConfig
from forewarn_collector.rules import RuleFileError, RuleSet, TemplateContext
from forewarn_collector.tasks import AlertmanagerPlace, ByRule, LostHosts, Policy
from forewarn_collector.tasks.incidents import ByIncident, Incident
from forewarn_collector.tasks.levels import ConfiguredLevels
from forewarn_collector.tasks.windows import Dependencies, Windows
from forewarn_wire import Problem


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
        moved=place.moved,
    )


def member_of(config: CollectorConfig) -> str:
    """This collector among those that share a ledger: the same after a restart."""
    return f"{socket.gethostname()}:{config.data.resolve()}"
