"""From the configuration to the policy of tasks: where alerts belong, what holds them."""

from __future__ import annotations

import socket

from forewarn_collector.config import CollectorConfig
from forewarn_collector.rules import TemplateContext
from forewarn_collector.tasks import ByRule, LostHosts, Policy
from forewarn_collector.tasks.incidents import ByIncident, Incident
from forewarn_collector.tasks.levels import ConfiguredLevels
from forewarn_collector.tasks.policy import RuleLookup
from forewarn_collector.tasks.windows import Dependencies, Windows


def policy_of(
    config: CollectorConfig,
    incidents: tuple[Incident, ...],
    external_url: str,
    rule_of: RuleLookup,
) -> Policy:
    """The policy that `collector.yml` asks for; `rule_of` knows the rules in force."""
    return Policy(
        placing=ByIncident(ByRule(config.default_queue), incidents),
        gates=(
            LostHosts(),
            Windows(config.calendars.windows),
            Dependencies(config.service.dependencies),
        ),
        levels=ConfiguredLevels(config.service.levels),
        damping=config.damping,
        templates=TemplateContext(
            external_url=external_url, external_labels=dict(config.external_labels)
        ),
        rule_of=rule_of,
    )


def member_of(config: CollectorConfig) -> str:
    """This collector among those that share a ledger: the same after a restart."""
    return f"{socket.gethostname()}:{config.data.resolve()}"
