"""From the configuration to the policy of tasks: where alerts belong, what holds them."""

from __future__ import annotations

import socket

from forewarn_collector.config import CollectorConfig
from forewarn_collector.rules import TemplateContext
from forewarn_collector.tasks import AlertmanagerPlace, ByRule, LostHosts, Policy
from forewarn_collector.tasks.incidents import ByIncident, Incident


def policy_of(
    config: CollectorConfig,
    incidents: tuple[Incident, ...],
    external_url: str,
    place: AlertmanagerPlace,
) -> Policy:
    """The policy that `collector.yml` and its alertmanager.yml ask for."""
    return Policy(
        placing=ByIncident(place.placing(ByRule(config.default_queue)), incidents),
        gates=(*place.gates, LostHosts()),
        damping=config.damping,
        templates=TemplateContext(
            external_url=external_url, external_labels=dict(config.external_labels)
        ),
        rule_of=place.rule_of,
    )


def member_of(config: CollectorConfig) -> str:
    """This collector among those that share a ledger: the same after a restart."""
    return f"{socket.gethostname()}:{config.data.resolve()}"
