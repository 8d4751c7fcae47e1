"""Templates that can't be read are refused with their place; those that fail leave a text."""

from __future__ import annotations

import time

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
        ("{{ $value | 1 }}", "|", "only a function can follow '|'"),
        ("{{ (1 }}", "(", "'(' without ')'"),
        ('{{ "\\d" }}', '"', "bad constant"),
        ("{{ 1a }}", "1a", "bad constant 1a"),
        ("{{ print(1) }}", "(1)", "unexpected '('; put a space before it"),
        ("{{ 9223372036854775808 }}", "9", "9223372036854775808 overflows int"),
        ("{{ 1i }}", "1i", "no imaginary numbers here: 1i"),
        ("{{ if 1 }}{{ define `x` }}{{ end }}{{ end }}", "define", "{{define}} within another"),
        ("{{ $value ? 1 }}", "?", "unexpected '?' in an action"),
        ("{{ template x }}", "x", "template needs a name in quotes"),
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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{ humanise 1 }}", "did you mean humanize?"),
        ("{{ join `a` }}", "join is Alertmanager's, for its notifications, not for rules"),
        (
            "{{ $labels | toJson }}",
            "toJson is Alertmanager's, for its notifications, not for rules",
        ),
        ("{{ removeLabels $labels }}", "removeLabels is Grafana's, not for Prometheus' rules"),
        ("{{ $values.A }}", "$values is Grafana's; Prometheus has one $value"),
        ("{{ queryEscape `a` }}", "queryEscape is vmalert's; use urlQueryEscape"),
        ("{{ tmpl `x` . }}", "tmpl is only for console pages; use {{ template }}"),
        ("{{ $label.a }}", "did you mean $labels?"),
        ("{{ /* x */ }}", "a comment is {{/* so */}}"),
        (
            "{{ define `x` }}{{ $value }}{{ end }}",
            'a definition sees only what it is given, as . and $: {{ template "name" . }}',
        ),
    ],
)
def test_what_another_product_has_is_refused_with_a_remedy(text: str, hint: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text)
    assert caught.value.hint == hint


# The causes that the comparison with promtool cannot have.
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{{ .Foo }}", "1:4: at <.Foo>: can't evaluate field Foo in type struct { Labels map"),
        ("a\n {{ $value.x }}", "2:5: at <$value.x>: can't evaluate field x in type float64"),
        ("{{ query `up` | first }}", "error calling query: no queries can be asked here"),
        ("{{ reReplaceAll `(` `` `` }}", "error calling reReplaceAll: bad regular expression"),
        ("{{ range $i, $x := 5 }}{{ end }}", "can't use 5 to iterate over more than one variable"),
        ("{{ template `x` }}", 'at <{{template "x"}}>: template "x" not defined'),
        ("{{ $nope = 1 }}", "at <1>: undefined variable: $nope"),
        ("{{ toTime `NaN` }}", "error calling toTime: value is NaN or Inf"),
        ("{{ (toTime 1).Format }}", "wrong number of args for Format: want 1 got 0"),
        ("{{ (toTime 1).Format 5 }}", "expected string; found 5"),
        (
            "{{ (toTime 1).Add $value }}",
            "wrong type for value; expected time.Duration; got float64",
        ),
        ("{{ (toTime 1).Clock }}", "can't evaluate field Clock in type *time.Time"),
        ("{{ (toTime 1e11).Format `2006` }}", "overflows int64"),
        ("{{ ((toTime 0).AddDate 9999 0 0).Year }}", "a time beyond the years 1 to 9999"),
    ],
)
def test_a_template_that_fails_leaves_the_error_in_its_place(text: str, cause: str) -> None:
    result = expand(text)
    assert result.startswith("<error expanding template: ")
    assert cause in result


def test_a_template_ends_before_it_hurts() -> None:
    """Each of these would take the memory or the time of a collector; each ends at once."""
    started = time.perf_counter()
    doubled = "{{ $x := `ab` }}" + "{{ $x = printf `%s%s` $x $x }}" * 40
    nested = "{{ $x := `a` }}" + "{{ $x = args $x $x }}" * 40 + "{{ $x }}"
    texts = {
        "{{ printf `%999999d` 1 }}{{ printf `%999999d` 1 }}": "a text of more than 1000000",
        "{{ printf `%9999999d` 1 }}": "a text of more than 1000000",
        "{{ printf `%*d` 999999 1 | printf `%[1]s%[1]s` }}": "a text of more than 1000000",
        doubled: "a text of more than 1000000 characters",
        nested: "a text of more than 1000000 characters",
        "{{ range 9000000000000000000 }}{{ end }}": "more than 100000 steps",
        "{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}": "more than 100000 steps",
        "{{ define `x` }}{{ template `x` }}{{ end }}{{ template `x` }}": "template depth (50)",
        "{{ define `x` }}" + "{{ if true }}" * 30 + "{{ template `x` }}" + "{{ end }}" * 31
        + "{{ template `x` }}": "nested too deeply",
        "".join(
            f"{{{{ define `t{n}` }}}}" + f"{{{{ template `t{n + 1}` }}}}" * 2 + "{{ end }}"
            for n in range(40)
        )
        + "{{ define `t40` }}{{ end }}{{ template `t0` }}": "more than 100000 steps",
        "{{ reReplaceAll `` (printf `%9999d` 1) (printf `%9999d` 1) }}": "a text of more than 1",
        "{{ match `((a{100}){100}){100}` `a` }}": "bad regular expression",
        "{{ $t := printf `%999999d` 1 }}{{ range 1000 }}{{ $x := match `(.*)*(.*)*(.*)*z$` $t }}"
        "{{ end }}": "more than 100000 steps",
        "{{ $l := args }}{{ range 40000 }}{{ $l = args $l }}{{ end }}{{ $l }}": "nested too deeply",
        "{{ range 200 }}{{ $x := query `up` }}{{ end }}": "more than 100 queries",
        "{{ printf `%99999999d` 1 }}": "",
    }  # fmt: skip
    context = TemplateContext(query=lambda _: [])
    for text, cause in texts.items():
        assert cause in Template.parse(text).expand(DATA, context), text[:80]
    assert time.perf_counter() - started < 20
    for deep in ("{{ if true }}" * 1_000, "{{ " + "(" * 1_000 + " }}"):
        with pytest.raises(TemplateError, match="nested too deeply"):
            Template.parse(deep)


@pytest.mark.parametrize(
    "text",
    [
        "{{ .__class__ }}",
        "{{ $.fields }}",
        "{{ $labels.items }}",
        "{{ $labels.__class__ }}",
        "{{ $value.real }}",
        "{{ (toTime 1).nanoseconds }}",
        "{{ (toTime 1).text }}",
        "{{ (query `up`).append 1 }}",
        "{{ printf `%s` .Labels.__init__ }}",
        "{{ index $labels `__class__` }}",
        "{{ (args 1).keys }}",
        "{{ reReplaceAll `(?P<__class__>a)` `${__class__.__mro__}` `a` }}",
        "{{ printf `{0.__class__}` . }}",
        "{{ ((toTime 1).Format).__globals__ }}",
    ],
)
def test_nothing_of_python_can_be_reached(text: str) -> None:
    result = Template.parse(text).expand(DATA, TemplateContext(query=lambda _: []))
    assert (
        "error expanding" in result
        or result in {"", "<no value>", "${__class__.__mro__}"}
        or (result.startswith("{0.__class__}%!(EXTRA struct {"))
    )


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
