"""Regular expressions in matchers that say less than they seem to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forewarn_collector.promql.nodes import Selector, nodes_of
from forewarn_collector.promql.places import matcher_place
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.store import MatchOp

_PLAIN = re.compile(r"[\w/:@ -]+")
_OPS = {MatchOp.REGEX: "=", MatchOp.NOT_REGEX: "!="}


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    for node in nodes_of(subject.rule.query.expr):
        if not isinstance(node, Selector):
            continue
        for matcher in node.matchers:
            if matcher.op not in _OPS or not _PLAIN.fullmatch(matcher.value):
                continue
            place = matcher_place(subject.rule.query.text, node.place, matcher.name)
            written = f'{matcher.name}{matcher.op.value}"{matcher.value}"'
            message = f"{written} is a regular expression without a pattern: it matches that alone"
            meant = f'{matcher.name}{_OPS[matcher.op]}"{matcher.value}"'
            remedy = f'write {meant}, or ".*{matcher.value}.*" for all that contain it'
            yield subject.at(place, message, remedy)


REGEXES = Lint(
    "regex-without-pattern",
    "=~ or !~ with plain text, which matches the whole value only",
    _find,
)
