"""What the token of a customer sees of things that are of several: its own, by the label."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aiohttp import web

from forewarn_collector.api.callers import CALLER
from forewarn_collector.rules import AlertingRule, RuleStatus
from forewarn_collector.silencing import MatchKind, Silence, make_matcher
from forewarn_collector.store import Matcher, MatchOp, NarrowedSource, SeriesSource
from forewarn_collector.tasks import Actor
from forewarn_collector.tasks.identity import CUSTOMER
from forewarn_wire import Labels

_OF_ANY = frozenset({"", ".*", ".+"})
"""Values of matchers on `customer` that name nobody."""
_HIDDEN_ERROR = "it can't be evaluated; why is shown to those who may see all customers"


def customer_of(request: web.Request) -> str:
    """The customer whose things alone the caller may see; empty for one who may see all."""
    return request[CALLER].customer


def actor_of(request: web.Request, name: str = "") -> Actor:
    """Who acts: the person that the request names, or who signed in, else the token."""
    caller = request[CALLER]
    return Actor(name or caller.person or caller.name, caller.role, caller.name)


def matchers_for(customer: str) -> tuple[Matcher, ...]:
    """What series and events of a customer meet; nothing for one who may see all."""
    return (Matcher(CUSTOMER, MatchOp.EQUAL, customer),) if customer else ()


def source_for(customer: str, source: SeriesSource) -> SeriesSource:
    """The source with nothing in it but what the customer may see."""
    return NarrowedSource(source, matchers_for(customer)) if customer else source


def is_of(customer: str, labels: Labels) -> bool:
    """Whether a customer may see what has these labels."""
    return not customer or dict(labels).get(CUSTOMER) == customer


def silence_is_of(customer: str, silence: Silence) -> bool:
    """Whether a customer may see a silence: one of its own alerts, and of nobody else's."""
    if not customer:
        return True
    own = make_matcher(CUSTOMER, MatchKind.EQUAL, customer)
    about = [matcher for matcher in silence.matchers if matcher.name == CUSTOMER]
    return bool(about) and all(matcher == own for matcher in about)


def silence_for(customer: str, silence: Silence) -> Silence:
    """A silence as a customer may make it: of its own alerts alone, said or not."""
    given = silence.matchers
    if not customer or not given or any(matcher.name == CUSTOMER for matcher in given):
        return silence
    own = make_matcher(CUSTOMER, MatchKind.EQUAL, customer)
    return replace(silence, matchers=(*given, own))


def rule_is_for(customer: str, status: RuleStatus) -> bool:
    """Whether a customer may see a rule. All share them, but for those that name another."""
    if not customer:
        return True
    rule = status.rule
    if isinstance(rule, AlertingRule):
        given = rule.labels[CUSTOMER].source if CUSTOMER in rule.labels else ""
        given = "" if "{{" in given else given
    else:
        given = dict(rule.labels).get(CUSTOMER, "")
    named = {given, *_named(matcher for s in rule.query.selectors for matcher in s.matchers)}
    return named <= {"", customer}


def error_for(customer: str, status: RuleStatus) -> str:
    """Why a rule's last evaluation failed, if it did; the text may name series of anybody."""
    return _HIDDEN_ERROR if customer and status.last_error else status.last_error


def _named(matchers: Iterable[Matcher]) -> set[str]:
    return {
        matcher.value
        for matcher in matchers
        if matcher.name == CUSTOMER and matcher.value not in _OF_ANY
    }
