"""One rule with its state: what an evaluation of it finds, and what becomes of its alerts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from forewarn_collector.promql import LiveWindows, Query, Round, compile_query, needs_of
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.inputs import RuleInputs, inputs_of
from forewarn_collector.rules.model import AlertingRule, RecordingRule, Rule, RuleGroup
from forewarn_collector.rules.record import Recorder
from forewarn_collector.rules.standing import AlertsByLabels, Begin, Standing
from forewarn_collector.rules.status import Health, RuleStatus
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.store import Batch, Matcher, SeriesSource
from forewarn_wire import Labels

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every evaluation works with. `lookback` is in ms; `live` are kept between rounds.

    `has_series` tells whether any series meets matchers. Where it is given, a rule is not evaluated
    while it would give nothing for want of series.
    """

    source: SeriesSource
    append: Callable[[Batch], Future[Any]]
    lookback: int
    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)
    live: LiveWindows | None = None
    has_series: Callable[[Sequence[Matcher]], bool] | None = None


@dataclass(slots=True)
class Outcome:
    """What an evaluation of a rule at `at` (ms) came to; `accept` makes it the rule's state.

    `standing` are its alerts, None where it failed or lacked series, and for a recording rule.
    """

    at: int
    error: str = ""
    seconds: float = 0.0
    elements: int = 0
    standing: Standing | None = None
    changes: Sequence[AlertChange] = ()


class RuleRunner:
    """Not for two threads at once, but for `status`."""

    def __init__(
        self,
        rule: Rule,
        group: RuleGroup,
        query: Query,
        recording: Mapping[str, Sequence[RecordingRule]],
        surroundings: Surroundings,
        alerts: AlertsByLabels,
    ) -> None:
        """`query` is the rule's, compiled with those of others; `alerts` are known from before."""
        self.rule = rule
        self.group = group
        self.query = query
        self._needs = needs_of(query.expr)
        self._standing = Standing(alerts)
        self.status = RuleStatus(rule, standing=self._standing)
        self._with = surroundings
        inputs = inputs_of(rule.query, recording) if isinstance(rule, AlertingRule) else []
        self._inputs = RuleInputs(inputs, surroundings.source, surroundings.lookback)

    @property
    def alerts(self) -> AlertsByLabels:
        """The rule's alerts that are not inactive, by their final labels."""
        return self._standing.alerts()

    def carry_over(self, old: RuleStatus) -> None:
        """Go on from the status of the same rule, before the rule files were read anew."""
        self.status = replace(old, rule=self.rule, standing=self._standing)

    def evaluate(self, round_: Round, recorder: Recorder) -> Outcome:
        """Evaluate the rule; what it records is handed to the recorder. Changes nothing here."""
        began = time.perf_counter()
        outcome = Outcome(round_.at)
        try:
            if not self._lacks_series(recorder):
                self._evaluate(round_, recorder, outcome)
        except ValueError as error:
            # EvalError and the like: the rule does not fit the series that are there.
            outcome.error = str(error) or type(error).__name__
            # Once per trouble: on arrival a rule may be evaluated many times a second.
            if outcome.error != self.status.last_error:
                log.warning("rule %s: %s", self.rule.key, error)
        except Exception as error:
            # A fault of ours, or of the disk: the other rules must go on whatever it is.
            log.exception("rule %s failed", self.rule.key)
            outcome.error = f"{type(error).__name__}: {error}"
        outcome.seconds = time.perf_counter() - began
        return outcome

    def accept(self, outcome: Outcome) -> None:
        """Make an outcome the rule's state. Where it failed, the alerts stay as they were."""
        if outcome.standing is not None:
            self._standing = outcome.standing
        self.status = replace(
            self.status,
            health=Health.ERR if outcome.error else Health.OK,
            last_error=outcome.error,
            last_evaluation=outcome.at,
            evaluation_seconds=outcome.seconds,
            elements=outcome.elements,
            standing=self._standing,
        )

    def begun_earlier(self, begins: Mapping[Labels, Begin]) -> None:
        """Learn that alerts of this alerting rule began before, by their final labels."""
        if isinstance(self.rule, AlertingRule):
            self._standing = self._standing.begun_earlier(self.rule, begins)
            self.status = replace(self.status, standing=self._standing)

    def _lacks_series(self, recorder: Recorder) -> bool:
        """Whether there is nothing that the rule could find, and nothing to end."""
        has = self._with.has_series
        if has is None or len(self._standing) or recorder.goes_on(self.rule.key):
            return False
        return not all(any(map(has, need)) for need in self._needs)

    def _evaluate(self, round_: Round, recorder: Recorder, outcome: Outcome) -> None:
        at = round_.at - self.group.query_offset
        result = self.query.at(round_, at)
        if isinstance(self.rule, RecordingRule):
            outcome.elements = recorder.take(self.rule, result, at, self.group.limit)
            return
        outcome.standing, outcome.changes = self._standing.advance(
            self.rule, result, self._inputs.at(at), round_.at, self._context(at), self.group.limit
        )
        outcome.elements = len(result.rows())

    def _context(self, at: int) -> TemplateContext:
        with_ = self._with
        return TemplateContext(
            query=lambda text: (
                compile_query(text).instant(with_.source, at, lookback=with_.lookback).vector()
            ),
            external_url=with_.external_url,
            external_labels=with_.external_labels,
            at=at + self.group.query_offset,
        )
