"""Lints: what each remarks and what it leaves alone, in the words that an author gets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.check import Finding, check_files
from forewarn_collector.rules.lint import LINTS, NAMES
from forewarn_collector.rules.shipped import shipped_rules_dir
from forewarn_collector.store import Matcher
from forewarn_collector.store.matching import labels_predicate
from forewarn_wire import Labels, labels_from
from support.memory_series import MemorySeries

RULES = Path(__file__).parents[3] / "rules"


def rule(text: str) -> str:
    """A file with one rule, whose fields begin at line 4, column 7."""
    lines = "\n      ".join(text.strip("\n").splitlines())
    return f"groups:\n  - name: g\n    rules:\n    - {lines}\n"


class Series:
    """Signals of a test, each series with one sample."""

    def __init__(self, *series: str) -> None:
        self._labels: list[Labels] = []
        self._source = MemorySeries()
        for text in series:
            matchers = compile_query(text).selectors[0].matchers
            labels = {matcher.name: matcher.value for matcher in matchers}
            self._labels.append(labels_from(labels))
            self._source.add(labels, [(1_000, 1.0)])

    def metrics(self) -> Collection[str]:
        return self.values("__name__", [])

    def exist(self, matchers: Sequence[Matcher]) -> bool:
        return any(map(labels_predicate(matchers), self._labels))

    def values(self, label: str, matchers: Sequence[Matcher]) -> Collection[str]:
        found = filter(labels_predicate(matchers), self._labels)
        return {dict(labels).get(label, "") for labels in found} - {""}

    def vector(self, expr: str) -> Sequence[tuple[Labels, float]]:
        return compile_query(expr).instant(self._source, 1_000).vector()


def findings(folder: Path, text: str, signals: Series | None = None) -> list[Finding]:
    file = folder / "rules.yml"
    file.write_text(text)
    report = check_files([file], signals=signals)
    assert not report.errors
    return report.warnings


def names(folder: Path, text: str, signals: Series | None = None) -> list[str]:
    return [finding.check for finding in findings(folder, rule(text), signals)]


def said(folder: Path, text: str, signals: Series | None = None) -> str:
    (found,) = findings(folder, rule(text), signals)
    return str(found).removeprefix(f"{folder}/rules.yml:")


def alert(expr: str, rest: str = "for: 5m") -> str:
    return f"alert: A\nexpr: {expr}\n{rest}"


# alert-without-for


@pytest.mark.parametrize(
    "expr",
    [
        "irate(errors_total[10m]) > 1",
        "sum(idelta(x[10m])) > 1",
        "rate(errors_total[1m]) > 1",
        "deriv(x[4m]) > 1",
        "predict_linear(x[1h], 3600) < 0",
        "up == 0",
        'up{job="a"} != 1',
        "probe_success < 1",
    ],
)
def test_an_alert_without_for_is_remarked_where_a_sample_or_two_decide(
    expr: str, tmp_path: Path
) -> None:
    assert names(tmp_path, alert(expr, "")) == ["alert-without-for"]
    assert names(tmp_path, alert(expr, "for: 1m")) == []
    # Who writes it out has thought of it.
    assert names(tmp_path, alert(expr, "for: 0s")) == []


@pytest.mark.parametrize(
    "expr",
    [
        "rate(errors_total[5m]) > 1",
        "increase(errors_total[1m]) > 0",
        "avg_over_time(rate(x[1m])[10m:1m]) > 1",
        "node_load1 > 10",
        "up == 1",
        "sum(up) == 0",
        'absent(up{job="a"})',
    ],
)
def test_an_alert_without_for_is_left_alone_elsewhere(expr: str, tmp_path: Path) -> None:
    assert names(tmp_path, alert(expr, "")) == []


def test_the_place_is_that_of_the_function_within_a_block(tmp_path: Path) -> None:
    text = "alert: A\nexpr: |\n  up == 1\n  and\n    irate(x[5m]) > 0"
    (found,) = findings(tmp_path, rule(text))
    span = found.span
    assert (span.line, span.column, span.end_line, span.end_column) == (8, 11, 8, 16)
    assert str(found) == (
        f"{tmp_path}/rules.yml:8:11: warning: alert-without-for: an alert without for on irate(),"
        " which goes by two samples (add for: 2m or longer, or write for: 0s if a single evaluation"
        " is meant to be enough)"
    )


# alert-without-condition


@pytest.mark.parametrize(
    ("expr", "remarked"),
    [
        ("node_load1", True),
        ("a / b", True),
        ("up == bool 0", True),
        ("rate(x[5m])", True),
        ("a > 1 or b", True),
        ("a > 1", False),
        ("count(a > 1)", False),
        ("a and b", False),
        ("absent(a)", False),
        ("vector(1)", False),
        ('a{state="broken"}', False),
        ('ALERTS{alertstate="firing"}', False),
    ],
)
def test_an_alert_without_a_condition(expr: str, remarked: bool, tmp_path: Path) -> None:
    found = [name for name in names(tmp_path, alert(expr)) if name == "alert-without-condition"]
    assert bool(found) is remarked


def test_what_a_recording_rule_has_chosen_needs_no_condition(tmp_path: Path) -> None:
    text = rule("record: broken\nexpr: x > 1") + "    - {alert: A, expr: broken, for: 5m}\n"
    assert findings(tmp_path, text) == []


# template-label-cannot-be and value-in-label


def annotated(expr: str, text: str) -> str:
    return f"alert: A\nexpr: {expr}\nfor: 5m\nannotations:\n  summary: {text!r}"


@pytest.mark.parametrize(
    ("expr", "text", "remarked"),
    [
        ("sum by (job) (x) > 1", "{{ $labels.instance }}", True),
        ("sum by (job) (x) > 1", "{{ .Labels.instance }}", True),
        ("sum by (job) (x) > 1", "{{ $.Labels.instance }}", True),
        ("sum by (job) (x) > 1", '{{ index $labels "instance" }}', True),
        ("sum by (job) (x) > 1", "{{ $labels.instance | toUpper }}", True),
        ("sum by (job) (x) > 1", "{{ $labels.job }}", False),
        ("sum without (instance) (x) > 1", "{{ $labels.instance }}", True),
        ("sum without (job) (x) > 1", "{{ $labels.instance }}", False),
        ("x > 1", "{{ $labels.anything }}", False),
        ('absent(x{job="a"})', "{{ $labels.instance }}", True),
        ('absent(x{job="a"})', "{{ $labels.job }}", False),
        ('x{instance=""} > 1', "{{ $labels.instance }}", True),
        # Who asks for it first knows that it may not be there.
        ("sum(x) > 1", "{{ if $labels.instance }}{{ $labels.instance }}{{ end }}", False),
        ("sum(x) > 1", "{{ with $labels.instance }}on {{ . }}{{ end }}", False),
        # Another thing's labels.
        ("sum(x) > 1", "{{ range query `y` }}{{ .Labels.instance }}{{ end }}", False),
    ],
)
def test_a_template_with_a_label_that_cannot_be(
    expr: str, text: str, remarked: bool, tmp_path: Path
) -> None:
    expected = ["template-label-cannot-be"] if remarked else []
    assert names(tmp_path, annotated(expr, text)) == expected


def test_the_place_is_that_of_the_label_and_the_remedy_names_what_there_is(
    tmp_path: Path,
) -> None:
    text = annotated("sum by (instanc, job) (x) > 1", "on {{ $labels.instance }}")
    assert said(tmp_path, text) == (
        "8:25: warning: template-label-cannot-be: annotations.summary names the label instance,"
        " which the alert cannot have (did you mean instanc?)"
    )


def test_task_fields_may_name_labels_of_the_rule_too(tmp_path: Path) -> None:
    task = (
        "labels: {severity: high}\nfor: 5m\ntask:\n  title: '{{ $labels.severity }}'\n"
        "  group_by: [severity, alertname, job]\n"
        '  evidence: [{expr: \'x{job="$job",a="${severity}"}\'}]'
    )
    assert names(tmp_path, alert("sum by (job) (x) > 1", task)) == []
    task = task.replace("job]", "instance]").replace("${severity}", "$host")
    found = findings(tmp_path, rule(alert("sum by (job) (x) > 1", task)))
    assert [(each.span.line, each.message) for each in found] == [
        (10, "task.group_by names the label instance, which the alert cannot have"),
        (11, "task.evidence.expr names the label host, which the alert cannot have"),
    ]


def test_what_a_rule_adds_is_not_in_labels(tmp_path: Path) -> None:
    text = alert("sum(x) > 1", "for: 5m\nlabels: {team: ops, also: '{{ $labels.team }}'}")
    assert "team is added by the rule later" in said(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "remarked"),
    [
        ("{{ $value }}", True),
        ("{{ .Value | humanize }}", True),
        ("{{ if gt $value 9.0 }}high{{ else }}low{{ end }}", False),
        ("value", False),
    ],
)
def test_a_value_in_a_label(text: str, remarked: bool, tmp_path: Path) -> None:
    found = names(tmp_path, alert("x > 1", f"for: 5m\nlabels: {{size: {text!r}}}"))
    assert found == (["value-in-label"] if remarked else [])


# Joins


@pytest.mark.parametrize(
    ("expr", "remarked"),
    [
        ("sum by (a, b) (x) / on (a) sum by (a) (y)", True),
        ("sum by (a) (x) / on (a) sum by (a) (y)", False),
        ("sum by (a, b) (x) / on (a) group_left sum by (a) (y)", False),
        ("sum by (a, b) (x) / on (a) group_left sum by (a, b) (y)", True),
        ("x / on (a) y", True),
        ("x / y", False),
        ("x / ignoring (mode) y", False),
        ('x{mode=~"a|b"} / ignoring (mode) y', True),
        ('x{mode="a"} / ignoring (mode) y', False),
        ("x * on (instance) group_left (nodename) node_uname_info", False),
        ("x and on (a) y", False),
        ("x * on (a) group_left (b) topk by (a) (1, y)", False),
    ],
)
def test_a_join_whose_side_is_not_known_unique(expr: str, remarked: bool, tmp_path: Path) -> None:
    found = names(tmp_path, alert(f"{expr} > 1"))
    assert found == (["join-not-unique"] if remarked else [])


def test_a_join_is_judged_by_the_series_that_are_there(tmp_path: Path) -> None:
    expr = alert("x * on (a) group_left y > 1")
    assert names(tmp_path, expr, Series('x{a="1"}', 'y{a="1",b="1"}', 'y{a="2"}')) == []
    told = said(tmp_path, expr, Series('x{a="1"}', 'y{a="1",b="1"}', 'y{a="1",b="2"}'))
    assert told == (
        "5:15: warning: join-not-unique: the right side of * has 2 series with the same a, such as"
        ' {a="1"} (aggregate that side by (a), such as max by (a) (...))'
    )


@pytest.mark.parametrize(
    ("expr", "remarked"),
    [
        ('sum(x) / y{job="a"}', True),
        ('x{status="hit"} + x{status="miss"}', True),
        ('x{status="hit"} + ignoring (status) x{status="miss"}', False),
        ('x unless on (job) sum by (instance) (y{job="b"})', False),
        ('x{job="a"} unless on (job) sum by (instance) (y)', True),
        ("sum by (a) (x) / on (a) sum by (a) (y)", False),
        ('x{status="hit"} or x{status="miss"}', False),
    ],
)
def test_a_join_that_never_matches(expr: str, remarked: bool, tmp_path: Path) -> None:
    found = names(tmp_path, f"record: r\nexpr: {expr}")
    assert found == (["join-never-matches"] if remarked else [])


def test_labels_that_cannot_be_where_they_are_named(tmp_path: Path) -> None:
    text = "record: r\nexpr: sum by (job) (sum by (instance) (x))"
    assert said(tmp_path, text) == (
        "5:13: warning: label-cannot-be: sum by job, which what it aggregates cannot have"
        " (keep job within the brackets, or leave it out here)"
    )
    text = "record: r\nexpr: x * on (a) group_left (b) sum by (a) (y)"
    assert names(tmp_path, text) == ["label-cannot-be"]


# Selectors


SIGNALS = Series('disk{mountpoint="/",host="a"}', 'disk{mountpoint="/home",host="b"}', "node_load1")


@pytest.mark.parametrize(
    ("expr", "place", "message", "remedy"),
    [
        ("node_lod1 > 1", 13, "there is no series of node_lod1", "did you mean node_load1?"),
        ("zzz > 1", 13, "there is no series of zzz", "nothing sends that metric, or not yet"),
        (
            'disk{mountpoint="/hom"} > 1', 18, 'no series of disk has mountpoint="/hom"',
            'did you mean mountpoint="/home"?',
        ),
        (
            'disk{host="a", mountpoint=~"/v.*"} > 1', 28,
            'no series of disk has mountpoint=~"/v.*"', "mountpoint is /, /home",
        ),
        (
            'disk{gone="x"} > 1', 18, 'no series of disk has gone="x"',
            "none of them has the label gone",
        ),
        (
            'disk{mountpoint="/home", host="a"} > 1', 13,
            'no series of disk has all of mountpoint="/home", host="a"',
            "each of them is met by some series, together by none",
        ),
    ],
)  # fmt: skip
def test_a_selector_that_matches_nothing(
    expr: str, place: int, message: str, remedy: str, tmp_path: Path
) -> None:
    (found,) = findings(tmp_path, rule(alert(expr)), SIGNALS)
    assert (found.check, found.span.line) == ("selector-matches-nothing", 5)
    assert (found.span.column, found.message, found.remedy) == (place, message, remedy)


@pytest.mark.parametrize(
    "expr",
    [
        'disk{mountpoint="/"} > 1',
        'absent(disk{mountpoint="/var"})',
        "node_load1 > 1 unless gone",
        'ALERTS{alertname="B"} == 1',
        "recorded > 1",
        'sum({__name__=~"rec.*"}) > 1',
    ],
)
def test_a_selector_that_matches_or_need_not(expr: str, tmp_path: Path) -> None:
    text = rule(alert(expr)) + "    - {record: recorded, expr: node_load1}\n"
    assert findings(tmp_path, text, SIGNALS) == []
    assert findings(tmp_path, text) == []


# The rest


def test_a_regular_expression_without_a_pattern(tmp_path: Path) -> None:
    text = 'record: r\nexpr: sum(x{job="a", reason!~"Policy denied"})'
    assert said(tmp_path, text) == (
        '5:28: warning: regex-without-pattern: reason!~"Policy denied" is a regular expression'
        ' without a pattern: it matches that alone (write reason!="Policy denied", or'
        ' ".*Policy denied.*" for all that contain it)'
    )
    assert names(tmp_path, 'record: r\nexpr: x{a=~"b|c", d=~"e.f", g!~""}') == []


def test_an_equal_rule_that_stands_twice(tmp_path: Path) -> None:
    one = "    - {alert: A, expr: 'x>1', for: 5m, labels: {severity: low}}\n"
    same = "    - {alert: A, expr: x > 1, labels: {severity: low}}\n"
    other = "    - {alert: A, expr: x > 1, labels: {severity: high}}\n"
    head = "groups:\n  - name: g\n    rules:\n"
    assert findings(tmp_path, head + one + other) == []
    (found,) = findings(tmp_path, head + one + other + same)
    assert (found.check, found.span.line) == ("duplicate-rule", 6)
    assert f"stands at {tmp_path}/rules.yml:4 already" in found.message


# Turning them off

NOISY = "alert: {}\n      expr: up == 0"


def test_a_comment_turns_a_lint_off_for_its_rule(tmp_path: Path) -> None:
    head = "groups:\n  - name: g\n    rules:\n"
    inside = "    - alert: A\n      expr: up == 0 # forewarn: disable alert-without-for\n"
    above = "    # Why.\n    # forewarn: disable alert-without-for, duplicate-rule\n"
    above += "    - alert: B\n      expr: up == 0\n"
    plain = "    - alert: C\n      expr: up == 0\n"
    (found,) = findings(tmp_path, head + inside + above + plain)
    assert found.span.line == 11
    (found,) = findings(tmp_path, head + plain + above + inside)
    assert found.span.line == 5


def test_a_comment_outside_of_rules_holds_for_the_file(tmp_path: Path) -> None:
    text = "# forewarn: disable alert-without-for\n" + rule(alert("up == 0", ""))
    assert findings(tmp_path, text) == []


def test_a_comment_that_names_no_lint_is_remarked(tmp_path: Path) -> None:
    text = rule(alert("x > 1")) + "# forewarn: disable alert-without-four\n"
    (found,) = findings(tmp_path, text)
    assert str(found) == (
        f"{tmp_path}/rules.yml:7:21: warning: unknown-lint: there is no lint alert-without-four"
        " (did you mean alert-without-for?)"
    )


def test_every_lint_has_a_name_of_its_own_and_can_be_left_out(tmp_path: Path) -> None:
    assert len(NAMES) == len(LINTS) + 1
    file = tmp_path / "rules.yml"
    file.write_text(rule(alert("up == 0", "")))
    assert check_files([file], without={"alert-without-for"}).findings == []


def test_the_rules_that_ship_are_clean() -> None:
    assert check_files([shipped_rules_dir()]).findings == []
