"""Matchers as Alertmanager's classic parser reads them.

Expected values: prometheus/alertmanager `pkg/labels/parse_test.go` and `matcher_test.go`.
"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.silencing import (
    Matcher,
    MatcherError,
    MatchKind,
    fingerprint,
    parse_matcher,
    parse_matchers,
)

E, N, R, X = MatchKind.EQUAL, MatchKind.NOT_EQUAL, MatchKind.REGEXP, MatchKind.NOT_REGEXP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        ("", []),
        ("{foo='}", [("foo", E, "'")]),
        ("{foo=bar}", [("foo", E, "bar")]),
        ("foo=bar", [("foo", E, "bar")]),
        ('{foo="bar"}', [("foo", E, "bar")]),
        ('{foo=~".*"}', [("foo", R, ".*")]),
        ('{foo!~".*", bar!="x"}', [("foo", X, ".*"), ("bar", N, "x")]),
        ('{foo = "bar", dings != "bums", }', [("foo", E, "bar"), ("dings", N, "bums")]),
        ("foo=bar,dings!=bums", [("foo", E, "bar"), ("dings", N, "bums")]),
        ('{quote="She said: \\"Hi, ladies!\\""}', [("quote", E, 'She said: "Hi, ladies!"')]),
        ('statuscode=~"5.."', [("statuscode", R, "5..")]),
        ("tricky=~~~", [("tricky", R, "~~")]),
        ('trickier==\\\\=\\=\\"', [("trickier", E, '=\\=\\="')]),
        ('contains_quote != \\"', [("contains_quote", N, '"')]),
        ('trailing="\\\\"', [("trailing", E, "\\")]),
        ("line=a\\nb", [("line", E, "a\nb")]),
        ("foo=", [("foo", E, "")]),
        ('foo="",bar=x', [("foo", E, ""), ("bar", E, "x")]),
        ("foo=bar}", [("foo", E, "bar")]),
        ("comma=a\\", [("comma", E, "a\\")]),
    ],
)
def test_good_matchers_are_read(text: str, expected: list[tuple[str, MatchKind, str]]) -> None:
    assert [(each.name, each.kind, each.value) for each in parse_matchers(text)] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{foo=bar}}", ""),
        ("nope", "bad matcher format: nope"),
        ('foo="bar', 'matcher value contains unescaped double quote: "bar'),
        ('foo=bar"', 'matcher value contains unescaped double quote: bar"'),
        ('foo="b"ar"', "matcher value contains unescaped double quote"),
        ("1foo=bar", "bad matcher format: 1foo=bar"),
        ("foo=~(", "error parsing regexp: missing closing ): `^(?:()$`"),
        (",foo=bar", "bad matcher format: "),
    ],
)
def test_others_are_refused_in_alertmanagers_words(text: str, said: str) -> None:
    if not said:
        # A brace too many belongs to the value.
        assert parse_matchers(text)[0].value == "bar}"
        return
    with pytest.raises(MatcherError) as refused:
        parse_matchers(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "value", "given_value", "expected"),
    [
        (E, "bar", "bar", True),
        (E, "bar", "foo-bar", False),
        (N, "bar", "foo-bar", True),
        (R, "bar", "foo-bar", False),
        (R, ".*bar", "foo-bar", True),
        (X, "bar", "bar", False),
        (X, ".*bar", "foo-bar", False),
        (R, "a.b", "a\nb", False),
        (R, "x|", "", True),
    ],
)
def test_an_expression_must_match_a_value_whole(
    kind: MatchKind, value: str, given_value: str, expected: bool
) -> None:
    assert Matcher("label", value, kind).matches(given_value) is expected


@given(st.text(max_size=30))
def test_any_text_is_matchers_or_refused(text: str) -> None:
    with contextlib.suppress(MatcherError):
        assert all(isinstance(each, Matcher) for each in parse_matchers(text))


@given(st.text(max_size=20))
def test_what_is_written_reads_as_it_was(value: str) -> None:
    matcher = Matcher("name", value)
    assert parse_matcher(str(matcher)) == matcher


def test_fingerprints_are_those_of_a_real_alertmanager() -> None:
    # Answers of Debian's Alertmanager 0.25 to alerts with these labels.
    assert fingerprint((("alertname", "A"), ("team", "a"))) == "a0c07763372b5353"
    # FNV-1a's offset: prometheus/common, the fingerprint of no labels at all.
    assert fingerprint(()) == "cbf29ce484222325"
