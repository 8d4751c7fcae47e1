"""Templates by the hundred, made by a seeded generator, for the comparison with promtool."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator


def _pool(text: str) -> tuple[str, ...]:
    """Values with two spaces or more between them."""
    return tuple(re.split(r"\s{2,}", text.strip()))


STRINGS = _pool(
    r"""
    ""  "a"  `b c`  "he said \"x\""  "tab\there"  "é€😀"  "nul\u0000end"  "<b>&'"  "a=b&c"
    "\\back"  "100%"  "web-1.example.org:9100"  "10.0.0.1:80"  "[::1]:90"  "fe80::1"  "host:"
    ":80"  "a:b:c"  "UPPER lower"  "12.5"  "1e3"  "x"  "ß"
    """
)
INTEGERS = _pool(
    r"""
    0  1  -1  42  255  1000  65  0x1F  0b101  0o17  017  1_000  'a'  '\n'  '\x41'  'é'  128512
    9223372036854775807  -9223372036854775808
    """
)
FLOATS = _pool(
    r"""
    0.0  1.0  -1.5  3.14159  1e6  1e5  123456.0  1234567.0  1e21  1e-5  0.0001  1e100  -0.0  2.5
    0x1p-2  1_0.5  .5  5.  1E3  99999.5  999999.5  1e20  4.9e-324  1.7976931348623157e308
    """
)
OTHERS = _pool(
    r"""
    true  false  $value  $labels  $externalLabels  nil  .  $labels.ip  (query `metric`)
    (args 1 `a` $value)  (slice `xyz` 1)  (index `xyz` 1)  (safeHtml `h`)  (len `four`)
    """
)
NO_ADDRESS = tuple(text for text in OTHERS if not text.startswith("(query"))
VERBS = "vTtbcdoOqxXUeEfFgGsz"
COMPARED = _pool(
    r"""
    1  2  1.0  2.5  "a"  "b"  true  nil  $value  $labels.ip  $labels  (index `abc` 0)
    (safeHtml `a`)  (args 1)  'a'  (query `metric` | first)
    """
)
MORE_NUMBERS = _pool(
    r"""
    true  $value  $labels.six  "Inf"  "-inf"  "NaN"  "0x1p4"  "1_0"  "1e400"  " 1"  "+5"  1e10
    86400  90061.5  3599.99  59.99996  0.25  -0.00012  1e-30  1e15  1435065584.128  1023.99
    1048576  -1536.0  999.96  $labels
    """
)
NUMBERS = (*INTEGERS, *FLOATS, *STRINGS, *MORE_NUMBERS)
# More seconds than an int64 has: Prometheus makes negative days of them.
BEYOND = _pool(
    r"""
    -1e20  -9223372036854775808  1.7976931348623157e308  1e100  1e20  1e21  9223372036854775807
    """
)
HUMANIZERS = _pool(
    r"""
    humanize  humanize1024  humanizeDuration  humanizePercentage  humanizeTimestamp
    """
)
TEXT_FUNCTIONS = _pool(
    r"""
    toUpper  toLower  stripPort  stripDomain  safeHtml  html  js  urlquery  graphLink  tableLink
    len  print  println  parseDuration  not  match `a`  reReplaceAll `[a-z]+` `<$0>`
    """
)
DURATIONS = _pool(
    r"""
    "5m"  "1h30m"  "1d"  "2w"  "1y"  "250ms"  "0"  "5"  "-5m"  "1m1h"
    """
)
PATTERNS = (
    ("`(a)(b)?`", "`[$2|$1]`"),
    ("`(?P<n>\\\\w)`", "`${n}$n1`"),
    ("``", "`-`"),
    ("`^`", "`$$`"),
    ("`(?i)A`", "`$0x`"),
    ("`.`", "`${0}${`"),
    ("`a|b`", "`$00`"),
    ("`$`", "`!`"),
)
LAYOUTS = _pool(
    r"""
    %[2]v %[1]v  %[3]d  %[2]*[1]d  %*d  %-*d|  %.*f  %[1]v %v  %[x]d  %[0]d  %[1  %[]d  %!  % d  %
    %%  %5%  %.2  %d %d  %w  %.[1]*f  %[1].2f  %[1]2d  %10000011d  %.10000011d  %é  a%vb%vc%vd
    %v%[5]v%v  %6.2f%%  %+.3e  %-+8.2f|  %x %X  %#v %#v  %+q  %#q  %08.3f  %+08d  %t  %5t|%-7t|
    """
)
# What does not fail, and what does.
GOOD = _pool(
    r"""
    $value  .  $.Value  $labels.ip  $.Labels.word  $labels.nothing  0  1  ``  `a`  true  false
    $externalLabels.region  $.ExternalURL  2.5  $value | humanize
    $labels.word | toUpper | printf `%q`  gt $value 5.0  and $labels.ip (gt $value 1.0)
    or `` 0 `last`  not $value  len $labels.word  query `metric` | first | value
    (query `metric` | first).Labels.ip  $.Labels.ip | len  index $labels `word`
    printf `%s-%v` $labels.ip $value  print (print 1 2) `x`  query `nothing`  args 1 `a`
    (args $value).arg0  $value | printf `%.3f` | len | eq 5  label `ip` (query `metric` | first)
    (args).arg7  title `one two`  slice `abcd` 1 2
    query `metric` | sortByLabel `ip` | first | label `ip`  strvalue (query `metric` | first)
    humanizeDuration $value  query `metric` | first  $externalURL
    """
)
FAIL = _pool(
    r"""
    .Foo  $.Labels.a.b  $labels.ip.x  first nil  (args).arg0.x.y  query `nothing` | first
    humanize $  toUpper 5  call $value  $value 1  reReplaceAll `x`  match  `a` | toUpper `b`  nil
    1 2  $value | $labels.x  label 5 nil  value nil  label `a` nil  first $value  value 5
    $labels | toUpper  (safeHtml `x`) | toLower  parseDuration `x`  .ip.x  index  $.Value.a 1
    $labels.ip 1  len nil  humanize nil  printf 5  printf nil  printf $value
    """
)


LISTS = _pool(
    r"""
    $labels  .Labels  query `metric`  sortByLabel `word` (query `metric`)  args 2 `c`
    args 3 `b` 1.5  query `nothing`  $externalLabels  (args)  $labels | args
    """
)
VALUES = _pool("1  2.5  $value  true  $labels  $labels.word  nil  $labels.nothing")


def every_text(seed: int) -> list[str]:
    """The texts, the same for the same seed."""
    chance = random.Random(seed)
    texts = [
        *_printfs(chance),
        *_calls(),
        *_comparisons(),
        *_parts(chance),
        *(_program(chance, 2) for _ in range(400)),
    ]
    return list(dict.fromkeys(texts))


def _printfs(chance: random.Random) -> Iterator[str]:
    values = (*STRINGS, *INTEGERS, *FLOATS, *NO_ADDRESS)
    for verb in VERBS:
        for flags in ("", "+", "#", " ", "-", "0", "+#", "# ", "0+", "-0", "+ "):
            width = chance.choice(("", "", "1", "8", "12", "3"))
            places = chance.choice(("", "", ".0", ".1", ".3", ".", ".10"))
            layout = f"%{flags}{width}{places}{verb}"
            chosen = [chance.choice(values) for _ in range(3)]
            yield "|".join(f'{{{{ printf "{layout}" {value} }}}}' for value in chosen)
        for value in values:
            yield f'{{{{ printf "<%{verb}>" {value} }}}}'
    for layout in LAYOUTS:
        for values_ in ("", "1", "7 2", "`x` 3", "5 1.5 2", "$value", "true false", "`é` nil"):
            yield f'{{{{ printf "{layout}" {values_} }}}}'


def _calls() -> Iterator[str]:
    for name in HUMANIZERS:
        for value in NUMBERS:
            if name != "humanizeDuration" or value not in BEYOND:
                yield f"{{{{ {name} {value} }}}}{{{{ {value} | {name} }}}}"
    for name in TEXT_FUNCTIONS:
        for value in (*STRINGS, *VALUES, "(query `metric`)" if name == "len" else "(args 1)"):
            yield f"{{{{ {name} {value} }}}}"
    for value in DURATIONS:
        yield f"{{{{ parseDuration {value} }}}}"
    for pattern, replacement in PATTERNS:
        for value in STRINGS:
            yield f"{{{{ reReplaceAll {pattern} {replacement} {value} }}}}"
            yield f"{{{{ match {pattern} {value} }}}}"
    values = ("1", "2.5", "`a`", "`b`", "true", "nil", "$value", "$labels.ip", "(args 1 nil)")
    for left in values:
        for right in values:
            yield f"{{{{ print {left} {right} }}}}{{{{ println {left} {right} }}}}"
            yield f"{{{{ html {left} {right} }}}}{{{{ urlquery {left} {right} }}}}"
            yield f"{{{{ and {left} {right} }}}}|{{{{ or {left} {right} }}}}|{{{{ not {left} }}}}"


def _comparisons() -> Iterator[str]:
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        for left in COMPARED:
            for right in COMPARED:
                if left != "$labels" or right != "$labels":
                    yield f"{{{{ {name} {left} {right} }}}}"
    yield from (
        "{{ eq 1 2 3 1 }}",
        "{{ eq 1 2 `a` }}",
        "{{ eq 1 1 `a` }}",
        "{{ eq 1 }}",
        "{{ ne 1 2 3 }}",
    )


def _parts(chance: random.Random) -> Iterator[str]:
    wholes = ("`abc`", '"é€"', "$labels", "(query `metric`)", "(args 1 `b` 2.5)", "1", "nil", "``")
    keys = ("0", "1", "2", "9", "-1", "`ip`", "`arg1`", "`x`", "1.5", "nil", "'a'", "true")
    for whole in wholes:
        for key in keys:
            if whole != "(query `metric`)" or key != "0":
                yield f"{{{{ index {whole} {key} }}}}"
            end = chance.choice(keys)
            if whole != "(query `metric`)":
                yield f"{{{{ slice {whole} {key} }}}}|{{{{ slice {whole} {key} {end} }}}}"
        yield f"{{{{ index {whole} }}}}" if whole not in ("(query `metric`)", "nil") else ""


def _program(chance: random.Random, depth: int) -> str:
    """A few actions, one after another and within each other."""
    return "".join(_action(chance, depth) for _ in range(chance.randint(1, 4)))


def _action(chance: random.Random, depth: int) -> str:
    left, right = chance.choice(("{{", "{{- ")), chance.choice(("}}", " -}}"))
    if depth == 0 or chance.random() < 0.3:
        word = chance.choice((" plain ", "\n text\t", "", "x"))
        return f"{word}{left} {_value(chance)} {right}{word}"
    body, other = _program(chance, depth - 1), _program(chance, depth - 1)
    value = _value(chance)
    return chance.choice(
        (
            f"{left} if {value} {right}{body}{{{{ end }}}}",
            f"{left} if {value} {right}{body}{{{{ else }}}}{other}{left} end {right}",
            f"{{{{ if {value} }}}}{body}{{{{ else if {_value(chance)} }}}}{other}{{{{ end }}}}",
            f"{left} with {value} {right}{body}{{{{.}}}}{{{{ else }}}}{other}{{{{ end }}}}",
            f"{{{{ with $w := {value} }}}}{{{{ $w }}}}{body}{{{{ end }}}}",
            f"{{{{ $w := {value} }}}}{{{{ $w = {_value(chance)} }}}}{body}{{{{ $w }}}}",
            f"{left} range {_list(chance)} {right}{body};{{{{ else }}}}{other}{{{{ end }}}}",
            f"{{{{ range $k, $v := {_list(chance)} }}}}{{{{ $k }}}}{body}{{{{ end }}}}",
            f"{{{{ range $v := $labels }}}}{{{{ if eq $v `{chance.choice('abc')}` }}}}"
            "{{ break }}{{ else if match `[0-9]` $v }}{{ continue }}{{ end }}{{ $v }}"
            f"{body}{{{{ end }}}}",
            f"{left}/* {value} */{right.strip() if right[0] != ' ' else right}{body}",
        )
    )


def _value(chance: random.Random) -> str:
    # What fails ends the whole template, so that most of it must not.
    return chance.choice(FAIL if chance.random() < 0.03 else GOOD)


def _list(chance: random.Random) -> str:
    return chance.choice(LISTS)
