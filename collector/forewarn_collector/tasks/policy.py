"""What the configuration says of tasks: where alerts belong, what holds them, when they are due."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from forewarn_collector.config_damping import Damping
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.tasks.gates import Gate, GatedAlert
from forewarn_collector.tasks.placing import ByRule, Placing
from forewarn_collector.tasks.service import BySeverity, ServiceLevels

RuleLookup = Callable[[str], AlertingRule | None]
"""The rule of a key now; None where it is in no file any more."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How tasks are made. `gates` are asked in order, the first that holds an alert counts.

    `moved` gives the ids of those alerts that may be for other queues than when it was asked last.
    `damping` is that of rules that have none of their own; None: nothing is damped.
    """

    placing: Placing = field(default_factory=ByRule)
    gates: Sequence[Gate] = ()
    levels: ServiceLevels = field(default_factory=BySeverity)
    templates: TemplateContext = field(default_factory=TemplateContext)
    damping: Damping | None = field(default_factory=Damping)
    rule_of: RuleLookup = lambda _: None
    moved: Callable[[Iterable[GatedAlert]], Iterable[str]] = lambda _: ()

    def damping_of(self, rule: AlertingRule) -> Damping:
        """When problems of a rule are said to flap."""
        if self.damping is None:
            return Damping(suppress=0)
        return rule.task.damping or self.damping
