"""Relabelling of alerts: what each action does, and what a configuration must not say.

All actions run beside Prometheus in tests/system/test_alertmanagers.py.
"""

from __future__ import annotations

import pytest

from forewarn_collector.alertmanagers.relabel import relabelled
from forewarn_collector.config import read_config
from forewarn_collector.config_relabel import RelabelConfig

LABELS = {"alertname": "Loaded", "instance": "db-1:9100", "severity": "high"}


def steps(*items: str) -> tuple[RelabelConfig, ...]:
    text = "alert_relabel_configs: [" + ", ".join(items) + "]"
    config = read_config(text, "c.yml")
    assert config.problems == []
    return config.alert_relabel_configs


# Expected by hand from prometheus/prometheus `model/relabel/relabel.go`.
@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{target_label: team, replacement: db}", LABELS | {"team": "db"}),
        (
            "{source_labels: [instance], regex: '(.*):.*', target_label: instance}",
            LABELS | {"instance": "db-1"},
        ),
        # Nothing matched, nothing changed.
        ("{source_labels: [instance], regex: db, target_label: team}", LABELS),
        ("{target_label: severity, replacement: ''}", {**LABELS, "severity": ""}),
        # What comes out is no name.
        ("{source_labels: [instance], target_label: 'a_$1', replacement: x}", LABELS),
        ("{action: Keep, source_labels: [severity], regex: hi..}", LABELS),
        ("{action: keep, source_labels: [severity], regex: hi}", None),
        ("{action: drop, source_labels: [severity, alertname], regex: 'high;Loaded'}", None),
        (
            "{action: drop, source_labels: [alertname, severity], separator: '', regex: L.*high}",
            None,
        ),
        ("{action: dropequal, source_labels: [absent], target_label: other}", None),
        ("{action: keepequal, source_labels: [severity], target_label: instance}", None),
        ("{action: labeldrop, regex: 's.*'}", {**LABELS, "severity": ""}),
        ("{action: labelkeep, regex: alertname}", {"alertname": "Loaded"}),
        (
            "{action: labelmap, regex: '(sev).*', replacement: '${1}_copy'}",
            LABELS | {"sev_copy": "high"},
        ),
        (
            "{action: uppercase, source_labels: [severity], target_label: level}",
            LABELS | {"level": "HIGH"},
        ),
        (
            "{action: lowercase, source_labels: [alertname], target_label: alertname}",
            LABELS | {"alertname": "loaded"},
        ),
    ],
)
def test_a_step_does_what_it_does_in_prometheus(step: str, expected: dict[str, str] | None) -> None:
    if expected is not None:
        expected = {name: value for name, value in expected.items() if value}
    assert relabelled(LABELS, steps(step)) == expected


def test_steps_are_taken_in_their_order() -> None:
    both = (
        "{source_labels: [severity], target_label: level}",
        "{action: drop, source_labels: [level], regex: high}",
    )
    assert relabelled(LABELS, steps(*both)) is None
    assert relabelled(LABELS, steps(*reversed(both))) == LABELS | {"level": "high"}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{action: repalce}", "c.yml:1:34: action: expected one of replace, keep, drop, "),
        ("{}", "c.yml:1:25: replace needs a target_label"),
        ("{target_label: a-b}", "c.yml:1:40: 'a-b' is no name of a label"),
        ("{action: keep, regex: '('}", "c.yml:1:47: regex: bad regex '('; see RE2's syntax"),
        ("{action: keep, source_labels: [a-b]}", "c.yml:1:55: source_labels: expected names of"),
        ("{action: hashmod, target_label: a}", "c.yml:1:25: hashmod needs a modulus of 1 or more"),
        (
            "{action: labeldrop, target_label: a}",
            "c.yml:1:59: target_label does nothing with labeldrop (take it out)",
        ),
        ("{action: labelmap, replacement: a-b}", "c.yml:1:57: 'a-b' gives no name of a label"),
    ],
)
def test_a_step_that_prometheus_refuses_is_refused_with_its_place(step: str, expected: str) -> None:
    problems = read_config(f"alert_relabel_configs: [{step}]", "c.yml").problems
    assert str(problems[0]).startswith(expected), problems[0]
