"""Times and durations have Go's methods; expected values are from Go's documentation or by hand."""

from __future__ import annotations

import pytest

from forewarn_collector.rules.templates import Template, TemplateContext, TemplateData

# 2015-06-23 13:19:44.128 UTC, a Tuesday, the 174th day of its year.
CONTEXT = TemplateContext(at=1_435_065_584_128)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ now }}", "1.435065584128e+09"),
        ("{{ $t := toTime now }}{{ $t }}|{{ $t.UTC }}", "2015-06-23 13:19:44.128 +0000 UTC|" * 2),
        ("{{ with toTime now }}{{ .Year }}-{{ .Month }}-{{ .Day }}{{ end }}", "2015-June-23"),
        ("{{ with toTime now }}{{ .Weekday }} {{ .YearDay }}{{ end }}", "Tuesday 174"),
        ("{{ with toTime now }}{{ .Hour }}:{{ .Minute }}:{{ .Second }}{{ end }}", "13:19:44"),
        ("{{ with toTime now }}{{ .Unix }} {{ .UnixMilli }}{{ end }}", "1435065584 1435065584128"),
        ("{{ with toTime now }}{{ .Nanosecond }} {{ .UnixMicro }}{{ end }}",
         "128000000 1435065584128000"),
        ('{{ (toTime now).Format "2006-01-02T15:04:05Z07:00" }}', "2015-06-23T13:19:44Z"),
        ('{{ (toTime now).Format "Mon Jan _2 15:04:05 MST 2006" }}',
         "Tue Jun 23 13:19:44 UTC 2015"),
        ('{{ (toTime now).Format "Monday, 02-Jan-06 3:04PM -0700" }}',
         "Tuesday, 23-Jun-15 1:19PM +0000"),
        ('{{ (toTime now).Format "05.000 05.00 05.999999 05,9 002 pm Z0700" }}',
         "44.128 44.12 44.128 44,1 174 pm Z"),
        ('{{ (toTime 0).Format "3 03 15 1 01 Jan January" }}', "12 12 00 1 01 Jan January"),
        ("{{ (toTime now).Add (toDuration 3600) }}", "2015-06-23 14:19:44.128 +0000 UTC"),
        ("{{ (toTime now).AddDate 0 8 8 }}", "2016-03-02 13:19:44.128 +0000 UTC"),
        ("{{ (toTime now).Sub (toTime 1435065584) }}", "128ms"),
        ("{{ ((toTime now).Sub (toTime 1435060000)).Minutes | printf `%.2f` }}", "93.07"),
        ("{{ (toTime 5).After (toTime 4) }} {{ (toTime 5).Before (toTime 4) }}", "true false"),
        ("{{ (toTime 5).Equal (toTime 5) }} {{ (toTime 5).Compare (toTime 6) }}", "true -1"),
        ("{{ (toTime now).Truncate (toDuration 3600) }}", "2015-06-23 13:00:00 +0000 UTC"),
        ("{{ (toTime now).Round (toDuration 86400) }}", "2015-06-24 00:00:00 +0000 UTC"),
        ("{{ toTime `1e3` }} {{ toTime -1 }}",
         "1970-01-01 00:16:40 +0000 UTC 1969-12-31 23:59:59 +0000 UTC"),
        ("{{ toDuration 0 }} {{ toDuration 90061.5 }} {{ toDuration -60 }}", "0s 25h1m1.5s -1m0s"),
        ("{{ toDuration 0.25 }} {{ toDuration 1.5e-6 }} {{ toDuration 1e-9 }}", "250ms 1.5µs 1ns"),
        ("{{ (toDuration 5400).Hours }} {{ (toDuration 1.5).Milliseconds }}", "1.5 1500"),
        ("{{ (toDuration 5432).Round (toDuration 60) }}", "1h31m0s"),
        ("{{ printf `%d %s %v` ((toTime now).Month) ((toTime now).Month) ((toTime now).Weekday) }}",
         "6 June Tuesday"),
        ("{{ printf `%T %T %T` (toTime 0) (toDuration 1) ((toTime 0).Unix) }}",
         "*time.Time *time.Duration int64"),
        ("{{ humanizeDuration ((toTime 90).Sub (toTime 0)) }}", "1m 30s"),
        ("{{ gt ((toTime 90).Sub (toTime 0)).Seconds 60.0 }} {{ gt (toTime 90).Unix 60 }}",
         "true true"),
        ("{{ range 3 }}{{ . }},{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}", "0,1,2,01"),
        ("{{ range 0 }}x{{ else }}none{{ end }}{{ range -1 }}x{{ end }}", "none"),
        ("{{ with `` }}a{{ else with `b` }}{{ . }}{{ else }}c{{ end }}", "b"),
        ("{{ title `world's end a.b c-d e_f` }}", "World's End A.b C-D E_f"),
        ("{{ urlQueryEscape `a b/ü~` }}", "a+b%2F%C3%BC~"),
    ],
)  # fmt: skip
def test_times_durations_and_what_is_new_in_prometheus_3(text: str, expected: str) -> None:
    result = Template.parse(text).expand(TemplateData({}, 1.0), CONTEXT)
    assert result == expected.removesuffix("|")
