"""Parameters of the Prometheus HTTP API."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from forewarn_collector.api.envelope import ApiError
from forewarn_collector.api.labels import unescaped
from forewarn_collector.api.parameters import limit_of, limited, selectors_of, time_of
from forewarn_collector.store import Matcher, MatchOp


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        # The scheme of https://prometheus.io/docs/instrumenting/escaping_schemes/.
        ("job", "job"),
        ("U__mysystem_2e_prod_2e_west_2e_cpu_2e_load", "mysystem.prod.west.cpu.load"),
        ("U__http_2e_status:sum", "http.status:sum"),
        ("U__no:escaping__required", "no:escaping_required"),
        ("U__label_20_with_20__u1f431__", "U__label_20_with_20__u1f431__"),
        ("U__label_1f431_", "label\U0001f431"),
        ("U__bad_rune_D900_", "U__bad_rune_D900_"),
        ("U__unclosed_2e", "U__unclosed_2e"),
    ],
)
def test_an_escaped_label_name_is_read_as_prometheus_does(escaped: str, name: str) -> None:
    assert unescaped(escaped) == name


def test_selectors_are_matchers_without_modifiers() -> None:
    given = MultiDict([("match[]", 'up{job="a"}'), ("match[]", '{x!=""}')])
    assert selectors_of(given) == [
        (Matcher("__name__", MatchOp.EQUAL, "up"), Matcher("job", MatchOp.EQUAL, "a")),
        (Matcher("x", MatchOp.NOT_EQUAL, ""),),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{x=""}', r"match\[\] must contain at least one non-empty matcher"),
        ("rate(up[5m])", "is no series selector"),
        ("up offset 5m", "is no series selector"),
        ("up{", "parse error"),
    ],
)
def test_what_selects_no_series_is_refused(text: str, message: str) -> None:
    with pytest.raises(ApiError, match=message) as refused:
        selectors_of(MultiDict([("match[]", text)]))
    assert refused.value.kind == "bad_data"


def test_a_limit_cuts_and_says_so() -> None:
    assert limited("abc", limit_of(MultiDict(limit="2"))) == (
        "ab",
        ("results truncated due to limit",),
    )
    assert limited("abc", limit_of(MultiDict(limit="3"))) == ("abc", ())
    assert limited("abc", limit_of(MultiDict())) == ("abc", ())


@pytest.mark.parametrize("text", ["x", "1.5", "-1", "９"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match='invalid parameter "limit"'):
        limit_of(MultiDict(limit=text))


def test_a_time_that_may_be_left_out_is_named_where_it_is_wrong() -> None:
    assert time_of(MultiDict(), "time", 5) == 5
    assert time_of(MultiDict(time="1.5"), "time", 5) == 1500
    with pytest.raises(ApiError, match="Invalid time value for 'time': cannot parse"):
        time_of(MultiDict(time="x"), "time", 5)
