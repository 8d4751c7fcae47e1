"""What the configuration says of tasks: where alerts belong, what holds them, when they are due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.tasks.gates import Gate
from forewarn_collector.tasks.placing import ByRule, Placing
from forewarn_collector.tasks.service import BySeverity, ServiceLevels

RuleLookup = Callable[[str], AlertingRule | None]
"""The rule of a key now; None where it is in no file any more."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How tasks are made. `gates` are asked in order, the first that holds an alert counts."""

    placing: Placing = field(default_factory=ByRule)
    gates: Sequence[Gate] = ()
    levels: ServiceLevels = field(default_factory=BySeverity)
    templates: TemplateContext = field(default_factory=TemplateContext)
    rule_of: RuleLookup = lambda _: None
