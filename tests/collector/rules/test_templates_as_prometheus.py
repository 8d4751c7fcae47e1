"""Our templates give what Debian's promtool gives for the same text."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from forewarn_collector.rules.templates import Template, TemplateContext, TemplateData

LABELS = {
    "instance": "web-1.example.org:9100",
    "mountpoint": "/var/lib",
    "ip": "10.0.0.1:80",
    "six": "[::1]:80",
    "empty_port": "host:",
    "word": "hello big world end",
}
# What every one of these texts gives is decided by promtool, in the test below.
TEXTS = [
    "plain text, no action",
    "{{ $value }} {{ .Value }} {{ $labels.instance }} {{ .Labels.mountpoint }}",
    "{{ $labels }}",
    "[{{ $labels.nothing }}] {{ $externalURL }}",
    "{{ $value | humanize }} {{ $value | humanize1024 }} {{ $value | humanizeDuration }}",
    "{{ $value | humanizePercentage }} {{ humanizeTimestamp $value }}",
    "{{ humanize 0.0 }} {{ humanize 0.05 }} {{ humanize 1e-26 }} {{ humanize 1e30 }}",
    "{{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }} {{ humanizeDuration 3661.0 }}",
    "{{ humanizeDuration 0.25 }} {{ humanizeDuration -90061.5 }} {{ humanizeDuration 59.1234 }}",
    "{{ humanizeDuration 0.0 }} {{ humanizePercentage 0.12345 }} {{ humanize `12345` }}",
    "{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0.0 }}",
    '{{ printf "%.2f|%5.1f|%-8.3f|%08.2f|%+.1f" $value $value $value $value $value }}',
    '{{ printf "%d %s %q %v %t %x" 42 "a" "b\\"c" 1.5 true 255 }}',
    '{{ printf "%d|%s" $value 3 }} {{ printf "%s" }}',
    '{{ printf "%s" "a" "b" 1 }} {{ printf "%z" 1 }}',
    '{{ printf "%5s|%-5s|%05d|%x|%c|%%" "ab" "cd" 42 "hi" 65 }}',
    '{{ printf "%g %e %G %.3g %*d" 1e7 1234.5 1e-7 123456.0 6 42 }}',
    '{{ $value | printf "%.1f" }} {{ $value | printf "%v" }} {{ printf "%" }}',
    "{{ 123456.0 }} {{ 1234567.0 }} {{ 123456789.5 }} {{ 0.0001 }} {{ 0.00001 }}",
    "{{ 1e20 }} {{ 1e21 }} {{ 7 }} {{ 123456789012345678.0 }}",
    "{{ print 1 2 `a` `b` 3 4.5 }}|{{ println 1 `a` }}|{{ -0.0 }} {{ 0x1F }} {{ 1_000 }} {{ 'a' }}",
    "{{ title $labels.word }} {{ toUpper $labels.word }} {{ toLower `ABC` }}",
    '{{ reReplaceAll "(.*)\\\\.example\\\\.org:(\\\\d+)" "$2 on ${1}" $labels.instance }}',
    '{{ reReplaceAll "b(?P<rest>.)" "<$rest|$1x>" "abcabd" }} {{ match "^web" $labels.instance }}',
    "{{ stripPort $labels.instance }} {{ stripPort $labels.six }} {{ stripPort `no` }}",
    "{{ stripDomain $labels.instance }} {{ stripDomain $labels.ip }} {{ stripDomain `a.b.c` }}",
    "{{ stripPort $labels.empty_port }}|{{ stripDomain $labels.empty_port }}",
    "{{ if gt $value 5.0 }}big{{ else }}small{{ end }}",
    '{{ if eq $labels.ip "x" "10.0.0.1:80" }}y{{ end }}',
    "{{ if lt $value 5.0 }}a{{ else if ge $value 7.0 }}b{{ else }}c{{ end }}",
    "{{ if and true 0 }}a{{ else }}b{{ end }} {{ or `` `c` }} {{ not true }} {{ and 1 2 }}",
    "{{ with $labels.nothing }}{{ . }}{{ else }}none{{ end }} {{ with .Value }}{{ . }}{{ end }}",
    "{{ with $x := 5 }}{{ $x }}{{ end }} {{ $y := 1 }}{{ if true }}{{ $y = 2 }}{{ end }}{{ $y }}",
    "{{ range $name, $text := $labels }}{{ $name }}={{ $text }};{{ end }}",
    "{{ range query `metric` }}{{ . | label `instance` }}={{ . | value }}{{ .Labels.ip }}{{ end }}",
    "{{ range $i, $e := query `metric` }}{{ $i }}{{ $e.Value }}{{ else }}none{{ end }}",
    "{{ range query `nothing_there` }}x{{ else }}none{{ end }}",
    "{{ with query `metric` }}{{ . | first | value | humanize }}{{ end }}",
    "{{ len (query `metric`) }}",
    "{{ (query `metric` | first).Labels.mountpoint }} {{ query `metric` | first | label `ip` }}",
    "{{ range sortByLabel `instance` (query `metric`) }}{{ .Value }}{{ break }}{{ end }}",
    "a {{- 1 -}} b {{ 2 -}}\n  c {{/* a comment, don't mind */}} d {{- /* trimmed */ -}} e",
    "{{ index $labels `instance` }} {{ slice `abcdef` 1 3 }} {{ len `abc` }}",
    "{{ html `<a href='x'>&\"` }} {{ urlquery `a b&c` }} {{ js `it's` | len | ge 3 }}",
    '{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" $value }}{{ template "x" }}',
    '{{ define "y" }}<{{ .arg0 }}{{ .arg1 }}>{{ end }}{{ template "y" (args 1 "b") }}',
    '{{ block "z" 3 }}[{{ . }}]{{ end }} {{ "\\u00e9\\x41\\101\\n\\t" }}',
    "{{ parseDuration `1h30m` }} {{ graphLink `up == 0` }} {{ tableLink `up` }}",
    "{{ safeHtml `<b>` }}",
    "{{ strvalue (query `metric` | first) }}",
    "{{ eq 1 1 }} {{ ne `a` `b` }} {{ le 1 2 }} {{ lt `a` `b` }} {{ true }} {{ not 0 }}",
    "{{$value}}{{$labels.instance|toUpper|printf `%q`}}",
]


def expand(text: str) -> str:
    labels = tuple(sorted(LABELS.items()))
    found = {"metric": [((("__name__", "metric"), *labels), 7.25)], "nothing_there": []}
    context = TemplateContext(query=found.__getitem__)
    return Template.parse(text).expand(
        TemplateData({"__name__": "metric", **LABELS}, 7.25), context
    )


@pytest.mark.server
def test_every_text_expands_as_promtool_expands_it(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    names = [f"t{position}" for position in range(len(TEXTS))]
    given = dict(zip(names, TEXTS, strict=True))
    rule = {"alert": "A", "expr": "metric", "annotations": given}
    (tmp_path / "rules.yml").write_text(
        json.dumps({"groups": [{"name": "g", "rules": [rule]}]}), encoding="utf-8"
    )
    series = "metric{" + ",".join(f"{name}={json.dumps(text)}" for name, text in LABELS.items())
    expected = {
        "exp_labels": LABELS,
        "exp_annotations": {name: expand(text) for name, text in given.items()},
    }
    case = {
        "interval": "1m",
        "input_series": [{"series": series + "}", "values": "7.25 7.25"}],
        "alert_rule_test": [{"eval_time": "1m", "alertname": "A", "exp_alerts": [expected]}],
    }
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "tests": [case]}), encoding="utf-8"
    )
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
