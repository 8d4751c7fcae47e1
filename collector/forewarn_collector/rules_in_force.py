"""The rules that are in force: those of the start, then each set of files that is taken."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from forewarn_collector.config import CollectorConfig
from forewarn_collector.listening import StartError
from forewarn_collector.metrics import Metrics
from forewarn_collector.policies import check_queues_of
from forewarn_collector.rules import (
    AlertingRule,
    LastReload,
    RuleFileError,
    RuleFiles,
    RuleSet,
)
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)


class RulesInForce:
    """`current` are the rules, `last_reload` says when they were taken, and what was refused."""

    def __init__(
        self, config: CollectorConfig, queues: Collection[str], metrics: Metrics, clock: Clock
    ) -> None:
        """`queues` are those that a rule may name, now and later. Raises StartError."""
        self._files = RuleFiles(config.rules, interval=config.evaluation_interval)
        self._queues = queues
        self._metrics = metrics
        self._clock = clock
        self.last_reload = LastReload(clock())
        try:
            self._take(self._load())
        except (RuleFileError, OSError) as error:
            raise StartError(f"the rules are refused:\n{error}") from error
        log.info("%s", self._told())

    def alerting(self, key: str) -> AlertingRule | None:
        """The rule of a key, if there is one now."""
        return self._alerting.get(key)

    def changed(self) -> bool:
        """Whether a file has changed, come or gone since it was read."""
        return self._files.changed()

    def reload(self) -> str:
        """Read the files anew; bad ones leave what is in force, and are told of."""
        try:
            rules = self._load()
        except (RuleFileError, OSError) as error:
            self._metrics.rule_reloads.labels("refused").inc()
            self._metrics.rules_current.set(0)
            self.last_reload = replace(self.last_reload, refused=str(error))
            log.error("the running rules stay in force, the new ones are refused:\n%s", error)
            return str(error)
        self._take(rules)
        self._metrics.rule_reloads.labels("taken").inc()
        self._metrics.rules_current.set(1)
        log.info("rules reloaded: %s", self._told())
        return ""

    def _load(self) -> RuleSet:
        rules = self._files.load()
        check_queues_of(rules, list(self._queues))
        return rules

    def _take(self, rules: RuleSet) -> None:
        self.current = rules
        self._alerting = rules.alerting()
        self.last_reload = LastReload(self._clock())

    def _told(self) -> str:
        count = sum(1 for _ in self.current.rules())
        return f"{count} rules in {len(self.current.groups)} groups"
