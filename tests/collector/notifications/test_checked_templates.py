"""Template files and texts of receivers are read with the configuration, with all mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forewarn_collector.notifications import Templates, templates_of
from forewarn_collector.rules.template_nodes import TemplateError
from forewarn_collector.silencing import AlertmanagerFile, read_alertmanager_file
from support.notifications import NOTIFICATION

ROUTES = """\
global: {smtp_smarthost: 'localhost:25', smtp_from: a@example.org}
templates: [t/*.tmpl, none.tmpl]
route: {receiver: mail, group_by: [alertname]}
receivers:
  - name: mail
    email_configs:
      - to: b@example.org
        html: '{{ template "own" . }}'
        text: '{{ template "gone" . }}'
        headers: {SUBJECT: '{{ toUpperCase .Status }}', references: x, x-team: web}
"""
DEBIANS = Path("/usr/share/prometheus/alertmanager")


def written(folder: Path, **files: str) -> AlertmanagerFile:
    (folder / "t").mkdir()
    for name, text in files.items():
        (folder / "t" / f"{name}.tmpl").write_text(text)
    (folder / "am.yml").write_text(ROUTES)
    return read_alertmanager_file(ROUTES, str(folder / "am.yml"))


def test_texts_that_would_fail_are_noted_each_with_its_place(tmp_path: Path) -> None:
    file = written(tmp_path, a='{{ define "own" }}<b>{{ .Status }}</b>{{ end }}')
    checked = templates_of(file)
    found = [str(each).removeprefix(f"{tmp_path}/") for each in (*file.notes, *checked.notes)]
    assert (file.problems, checked.problems) == ((), ())
    own = "(this part of the message is Forewarn's own)"
    assert found == [
        "am.yml:2:12: none.tmpl matches no file (there is nothing to add)",
        "am.yml:10:18: the header References is not taken (a task is one thread by Forewarn's own)",
        f"am.yml:9:15: mail: text can't be carried out: template 'gone' not defined {own}",
        "am.yml:10:18: mail: header Subject can't be carried out:"
        " function 'toUpperCase' not defined (did you mean toUpper?)",
    ]
    assert checked.templates.html('{{ template "own" . }}', NOTIFICATION, 0) == "<b>firing</b>"


def test_a_file_that_cannot_be_read_is_refused_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, a='{{ define "own" }}x{{ end }}', b="one\n{{ if }}{{ end }}\n")
    (problem,) = templates_of(file).problems
    assert (Path(problem.file).name, problem.line, problem.message) == (
        "b.tmpl",
        2,
        "missing value",
    )


@pytest.mark.skipif(not DEBIANS.exists(), reason="Debian's Alertmanager is not installed")
def test_every_template_that_alertmanager_has_by_default_is_there() -> None:
    text = "".join(path.read_text() for path in sorted(DEBIANS.glob("*.tmpl")))
    names = re.findall(r'define "([^"]+)"', text)
    assert len(names) > 30
    for name in names:
        data = ".Alerts" if name.endswith(("_alert_list", ".instances")) else "."
        Templates.default().text(f'{{{{ template "{name}" {data} }}}}', NOTIFICATION, 0)


def test_our_own_defaults_say_what_fires() -> None:
    templates = Templates.default()
    subject = templates.text('{{ template "email.default.subject" . }}', NOTIFICATION, 0)
    assert subject == "[FIRING:1] DiskFull high"
    page = templates.html('{{ template "email.default.html" . }}', NOTIFICATION, 0)
    assert "<td>Only 3 % left, &#34;soon&#34; &lt;full&gt; &amp; it&#39;s late\n" in page
    assert '<a href="https://prom.example.org/graph?g0.expr=up&#43;%3D%3D&#43;0&amp;' in page


@pytest.mark.parametrize(
    "page",
    [
        "<script>{{ .Status }}</script>",
        "<p onclick='{{ .Status }}'>x</p>",
        '<p style="background: url({{ .Status }})">x</p>',
        '<img srcset="{{ .Status }}">',
    ],
)
def test_a_value_where_it_could_be_carried_out_is_refused(page: str) -> None:
    with pytest.raises(TemplateError, match="a value can't stand in"):
        Templates.default().html(page, NOTIFICATION, 0)


def test_functions_that_debians_alertmanager_is_too_old_for() -> None:
    # By the documentation of Alertmanager 0.29; NOTIFICATION's first alert begins at 22:13:20.123.
    start = "(index .Alerts 0).StartsAt"
    said = {
        f'{start} | tz "Europe/Berlin" | date "02.01.2006 15:04:05 MST"': "14.11.2023 23:13:20 CET",
        f'({start} | tz "America/St_Johns").Format "15:04 -07:00"': "18:43 -03:30",
        f"since {start} | humanizeDuration": "1h 0m 0s",
        f"since {start}": "1h0m0s",
        'trimSpace " a b\\n"': "a b",
        'urlUnescape "a%20b+c"': "a b c",
        "toJson .GroupLabels": r'{"alertname":"DiskFull","severity":"high"}',
        'toJson "<a>"': r'"\u003ca\u003e"',
    }
    templates = Templates.default()
    for text, expected in said.items():
        assert templates.text(f"{{{{ {text} }}}}", NOTIFICATION, 1_700_003_600_123) == expected
    with pytest.raises(TemplateError, match="unknown time zone Mars"):
        templates.text(f'{{{{ {start} | tz "Mars" }}}}', NOTIFICATION, 0)
    unsafe = '<a href="{{ safeUrl "tel:1 2" }}">x</a><a href="{{ "tel:1" }}">x</a>'
    assert templates.html(unsafe, NOTIFICATION, 0) == (
        '<a href="tel:1%202">x</a><a href="#ZgotmplZ">x</a>'
    )
