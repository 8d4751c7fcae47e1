"""Changes the labels of alerts on their way to Alertmanagers, or keeps alerts back.

Source: prometheus/prometheus `model/relabel/relabel.go`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from forewarn_collector.config_relabel import Action, RelabelConfig
from forewarn_collector.promql.functions.labelling import expanded
from forewarn_wire.labels import is_label_name


def relabelled(labels: Mapping[str, str], steps: Iterable[RelabelConfig]) -> dict[str, str] | None:
    """The labels after all steps; None where a step drops the alert."""
    found = dict(labels)
    for step in steps:
        if not _keeps(step, found):
            return None
        found = {name: value for name, value in _changed(step, found).items() if value}
    return found


def _source(step: RelabelConfig, labels: Mapping[str, str]) -> str:
    return step.separator.join(labels.get(name, "") for name in step.source_labels)


def _keeps(step: RelabelConfig, labels: Mapping[str, str]) -> bool:
    source = _source(step, labels)
    match step.action:
        case Action.KEEP:
            return step.regex.match(source) is not None
        case Action.DROP:
            return step.regex.match(source) is None
        case Action.KEEP_EQUAL:
            return labels.get(step.target_label, "") == source
        case Action.DROP_EQUAL:
            return labels.get(step.target_label, "") != source
    return True


def _changed(step: RelabelConfig, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels after a step; one with an empty value is taken out."""
    source, known = _source(step, labels), dict(labels)
    match step.action:
        case Action.REPLACE:
            return known | _replacement(step, source)
        case Action.LOWERCASE:
            return known | {step.target_label: source.lower()}
        case Action.UPPERCASE:
            return known | {step.target_label: source.upper()}
        case Action.HASH_MOD:
            digest = hashlib.md5(source.encode(), usedforsecurity=False).digest()
            number = int.from_bytes(digest[8:], "big") % step.modulus
            return known | {step.target_label: str(number)}
        case Action.LABEL_MAP:
            matches = ((step.regex.match(name), value) for name, value in labels.items())
            return known | {expanded(step.replacement, m): value for m, value in matches if m}
        case Action.LABEL_DROP:
            return {name: value for name, value in labels.items() if not step.regex.match(name)}
        case Action.LABEL_KEEP:
            return {name: value for name, value in labels.items() if step.regex.match(name)}
    return known


def _replacement(step: RelabelConfig, source: str) -> dict[str, str]:
    match = step.regex.match(source)
    if match is None:
        return {}
    target = expanded(step.target_label, match)
    return {target: expanded(step.replacement, match)} if is_label_name(target) else {}
