"""Templates that can't be read are refused with their place; those that fail leave a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.rules.templates import (
    Template,
    TemplateContext,
    TemplateData,
    TemplateError,
)

DATA = TemplateData({"__name__": "m", "instance": "a"}, 7.25)


def expand(text: str) -> str:
    return Template.parse(text).expand(DATA, TemplateContext())


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("a {{ nope 1 }}", "nope", "function 'nope' not defined"),
        ("a {{ $nope }}", "$nope", "undefined variable '$nope'"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "$x }}", "undefined variable '$x'"),
        ("a {{ $value ", "{{", "unclosed action"),
        ('a {{ "open }}', "{{", "unclosed action"),
        ("a {{ if true }}b", "if", "{{if}} without {{end}}"),
        ("a {{ end }}", "end", "unexpected {{end}}"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "if", "{{if}} without {{end}}"),
        ("{{ break }}", "break", "{{break}} outside {{range}}"),
        ("{{ }}", "}}", "missing value"),
        ("{{ $value | }}", "|", "missing value"),
        ("{{ $value | 1 }}", "|", "only a function can follow '|'"),
        ("{{ 1 2 }}", "1 2", "only a function can be given arguments"),
        ("{{ (1 }}", "(", "'(' without ')'"),
        ("{{ nil }}", "nil", "nil is not a command"),
        ('{{ "\\d" }}', '"', "bad constant"),
        ("{{ 1a }}", "a", "unexpected 'a'; put a space before it"),
        ("{{ $value ? 1 }}", "?", "unexpected '?' in an action"),
        ("{{ template x }}", "x", "template needs a name in quotes"),
        ("{{ $nope = 1 }}", "$nope", "undefined variable '$nope'"),
    ],
)
def test_a_template_that_cannot_be_read_says_where_and_why(
    text: str, at: str, message: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text)
    assert str(caught.value).startswith(message)
    offset = caught.value.offset
    assert offset is not None
    assert text.startswith(at, offset) or text.rindex(at) == offset


# Prometheus gives the same but for the wording of the inner error.
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{{ .Foo }}", "can't evaluate field Foo"),
        ("{{ $value.x }}", "can't evaluate field x"),
        ("{{ query `up` | first }}", "error calling query: no queries can be asked here"),
        ("{{ humanize `x` }}", "error calling humanize: not a number: 'x'"),
        ("{{ title 1 }}", "error calling title: expected text; found 1"),
        ("{{ reReplaceAll `(` `` `` }}", "error calling reReplaceAll: bad regular expression"),
        ("{{ lt `a` 1 }}", "incompatible types for comparison"),
        ("{{ lt $labels $labels }}", "invalid type for comparison"),
        ("{{ index $labels 1 }}", "expected text"),
        ("{{ slice `abc` 2 9 }}", "index out of range: 9"),
        ("{{ range 5 }}{{ end }}", "range can't iterate over 5"),
        ("{{ template `x` }}", "template 'x' not defined"),
        ("{{ define `x` }}{{ template `x` }}{{ end }}{{ template `x` }}", "too deeply"),
        ("{{ printf }}", "wrong number of args: got 0"),
        ("{{ humanize 1 2 }}", "wrong number of args: got 2"),
        ("{{ $value | $labels.x }}", "can't give argument to non-function"),
    ],
)
def test_a_template_that_fails_leaves_the_error_in_its_place(text: str, cause: str) -> None:
    result = expand(text)
    assert result.startswith("<error expanding template: ")
    assert cause in result


def test_an_integer_and_a_float_compare_by_value() -> None:
    assert expand("{{ if gt $value 5 }}more{{ end }}{{ eq 1 1.0 }}") == "moretrue"


def test_a_template_cannot_fill_the_memory() -> None:
    assert expand("{{ printf `%99999999d` 1 }}") == "%!(BADWIDTH)"
    assert expand("{{ printf `%.99999999f` 1.0 }}") == "%!(BADPREC)"
    deep = "{{ if true }}" * 1_000
    with pytest.raises(TemplateError, match="nested too deeply"):
        Template.parse(deep)
    with pytest.raises(TemplateError, match="nested too deeply"):
        Template.parse("{{ " + "(" * 1_000 + " }}")


WORDS = """{{ }} {{- -}} if else end range with $value $labels .x . ( ) | := = , $x `a` "b" 'c' 1
    2.5 printf humanize query first and or not nil true %d break define template /* */ é"""
PIECES = st.sampled_from(WORDS.split())


@given(st.lists(PIECES, max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_gives_a_text_or_our_error(text: str) -> None:
    try:
        template = Template.parse(text)
    except TemplateError:
        return
    assert isinstance(template.expand(DATA, TemplateContext()), str)
