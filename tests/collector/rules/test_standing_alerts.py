"""Alerts that stand in columns fare as alerts that take every step one by one.

`Life` compares the two at each evaluation.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.rules.model import OnMissing
from support.rules import SECOND, Life, rule

_HOSTS = "abcdef"
_EVALUATIONS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sets(st.sampled_from(_HOSTS)),
        st.sets(st.sampled_from(_HOSTS), max_size=2),
        st.sampled_from([1.0, 2.0]),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(
    _EVALUATIONS,
    st.sampled_from([0, 30 * SECOND]),
    st.sampled_from([0, 30 * SECOND]),
    st.sampled_from(OnMissing),
    st.sampled_from(["high", "{{ $labels.instance }}", "{{ if gt $value 1.5 }}high{{ end }}"]),
)
def test_whatever_happens_columns_and_single_steps_agree(
    evaluations: list[tuple[int, set[str], set[str], float]],
    for_: int,
    keep_firing_for: int,
    on_missing: OnMissing,
    severity: str,
) -> None:
    life = Life(
        rule(
            for_=for_,
            keep_firing_for=keep_firing_for,
            on_missing=on_missing,
            labels={"severity": severity},
            annotations={"summary": "{{ $labels.instance }} has {{ $value }}"},
        )
    )
    at = 0
    for wait, there, gone, value in evaluations:
        at += wait * SECOND
        life.inputs.gone = gone
        life.evaluate(at, *sorted(there), value=value)


def test_an_alert_that_goes_on_shows_its_value_of_now() -> None:
    life = Life(rule(annotations={"summary": "it is {{ $value }}"}))
    life.evaluate(0, "a", value=1.0)
    life.evaluate(1_000, "a", value=2.0)
    assert life.one.annotations == (("summary", "it is 2"),)
    assert (life.one.value, life.one.evaluated_at, life.one.active_at) == (2.0, 1_000, 0)


def test_an_alert_whose_element_is_another_one_now_tells_of_that() -> None:
    life = Life(rule(labels={"instance": "any"}, annotations={"on": "{{ $labels.instance }}"}))
    life.evaluate(0, "a")
    life.evaluate(SECOND, "b")
    assert life.one.series == (("instance", "b"),)
    assert life.one.annotations == (("on", "b"),)
