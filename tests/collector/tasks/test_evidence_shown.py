"""A task's evidence as text, as HTML and as a plot."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from forewarn_collector.plots import Band, Line, Mark, render
from forewarn_collector.tasks.evidence_html import evidence_html
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_collector.tasks.evidence_text import evidence_lines, spread
from support.alerts import DAY, HOUR, MINUTE, T0

ALERT = {"alertname": "Errors", "instance": "a"}
BEFORE: dict[str, Any] = {
    "alert": ALERT,
    "gathered_at": T0 + 5 * MINUTE,
    "onset": T0,
    "detected": T0 + 1_000,
    "value": "7",
    "values": {
        "query": "rate(errors[5m])",
        "operator": ">",
        "threshold": "5",
        "for": 5 * MINUTE,
        "labels": {"instance": "a"},
        "step": MINUTE,
        "samples": [[T0 - MINUTE, "1"], [T0, "6"], [T0 + 5 * MINUTE, "7"]],
    },
    "inputs": [
        {
            "query": "errors",
            "series": [
                {"labels": {"__name__": "errors", "instance": "a"}, "samples": [[T0, "120"]]},
                {"labels": {"instance": "b"}, "samples": []},
            ],
        }
    ],
    "queries": [],
    "events": [
        {"time": T0 - 1_000, "type": "log", "severity": "error", "labels": {}, "body": "no space"}
    ],
    "changes": [{"at": T0 - 42_000, "before": 42_000, "what": "deploy: app 2.4"}],
    "processes": {"cpu": [["app", "1.5"]], "memory": [["db", "5000000000"], ["app", "1000"]]},
    "earlier": [
        {
            "number": "FW-3",
            "same": "problem",
            "onset_at": T0 - DAY,
            "ended_at": T0 - DAY + HOUR,
            "reason": "fixed",
            "by": "ann",
            "text": "Closed by ann, fixed: vacuumed",
            "comment": "",
        }
    ],
    "notes": ["queries: too slow"],
}
AFTER: dict[str, Any] = {
    "follows": T0 + 5 * MINUTE,
    "alert": ALERT,
    "gathered_at": T0 + 20 * MINUTE,
    "values": {**BEFORE["values"], "step": 15_000, "samples": [[T0 + 6 * MINUTE, "2"]]},
    "notes": [],
}
# T0 is 2023-11-14 22:13:20 UTC.
TEXT = """\
2023-11-14 22:18:20 UTC value 7, onset 2023-11-14 22:13:20 UTC
  rate(errors[5m]) (fires at > 5, for 5m)
    22:12:20 1   22:13:20 6   22:18:20 7
  errors{instance="a"}
    22:13:20 120
  22:13:19 error log: no space
  changed before the onset (suspicions: none need be the cause):
    suspected, 42s before onset: deploy: app 2.4
  most CPU: app 1.5 cores
  most memory: db 5GB, app 1kB
  earlier: FW-3 (the same problem), 2023-11-13 22:13:20 UTC for 1h, fixed by ann
    Closed by ann, fixed: vacuumed
  (queries: too slow)
2023-11-14 22:18:20 UTC, and what came after
  rate(errors[5m]) (fires at > 5, for 5m)
    22:19:20 2"""
HTML = """\
<section class="evidence">
<h3>2023-11-14 22:18:20 UTC: value 7</h3>
<p>Onset 2023-11-14 22:13:20 UTC</p>
<h4>What the rule measures</h4>
<table>
<tr><td>rate(errors[5m]) (fires at &gt; 5, for 5m)</td><td>22:12:20 1, 22:13:20 6, 22:18:20 7</td></tr>
</table>
<h4>Series</h4>
<table>
<tr><td>errors{instance=&#34;a&#34;}</td><td>22:13:20 120</td></tr>
</table>
<h4>Changed before the onset (suspicions: none need be the cause)</h4>
<table>
<tr><td>22:12:38</td><td>suspected, 42s before onset</td><td>deploy: app 2.4</td></tr>
</table>
<h4>Events</h4>
<table>
<tr><td>22:13:19</td><td>error</td><td>log</td><td>no space</td></tr>
</table>
<h4>Processes at the onset</h4>
<table>
<tr><td>most CPU</td><td>app 1.5 cores</td></tr>
<tr><td>most memory</td><td>db 5GB, app 1kB</td></tr>
</table>
<h4>Earlier tasks</h4>
<table>
<tr><td><a href="/tasks/FW-3">FW-3</a></td><td>(the same problem), 2023-11-13 22:13:20 UTC for 1h, \
fixed by ann</td><td>Closed by ann, fixed: vacuumed</td><td></td></tr>
</table>
<p class="quiet">queries: too slow</p>
</section>
<section class="evidence">
<h3>2023-11-14 22:18:20 UTC, and what came after</h3>
<h4>What the rule measures</h4>
<table>
<tr><td>rate(errors[5m]) (fires at &gt; 5, for 5m)</td><td>22:19:20 2</td></tr>
</table>
</section>"""  # noqa: E501 - as it is sent


def test_text_says_all_that_was_gathered() -> None:
    assert "\n".join(evidence_lines([BEFORE, AFTER])) == TEXT


def test_html_says_the_same_and_leads_to_earlier_tasks() -> None:
    assert evidence_html([BEFORE, AFTER], "/tasks/") == HTML
    assert "<td>FW-3</td>" in evidence_html([BEFORE])


def test_a_plot_has_the_values_before_and_after_and_what_happened() -> None:
    plot = evidence_plot("FW-4", [BEFORE, AFTER])
    assert plot is not None
    assert (plot.start, plot.end) == (T0 - MINUTE, T0 + 6 * MINUTE)
    points = [(T0 - MINUTE, 1.0), (T0, 6.0), (T0 + 5 * MINUTE, 7.0), (T0 + 6 * MINUTE, 2.0)]
    assert plot.lines == [Line("rate(errors[5m]) of instance=a", points, 2 * MINUTE)]
    assert plot.threshold == (5.0, "> 5 for 5m")
    assert plot.marks == [
        Mark(T0, "onset"),
        Mark(T0 + 1_000, "detected"),
        Mark(T0 + 5 * MINUTE, "fired"),
        Mark(T0 - 42_000, "suspected, 42s before onset: deploy: app 2.4", suspect=True),
    ]


def moved(document: dict[str, Any], by: int, **values: Any) -> dict[str, Any]:
    """The same evidence at another time, of another alert."""
    given = document["values"]
    samples = [[at + by, value] for at, value in given["samples"]]
    return {
        **document,
        "alert": {"instance": "b"},
        "onset": document["onset"] + by,
        "gathered_at": document["gathered_at"] + by,
        "values": {**given, "samples": samples, "labels": {"instance": "b"}, **values},
    }


def test_a_plot_is_of_the_last_time_and_of_one_quantity() -> None:
    later = moved(BEFORE, MINUTE)
    both = evidence_plot("t", [BEFORE, later])
    assert both is not None
    assert [line.name[-1] for line in both.lines] == ["a", "b"]
    for other in (moved(BEFORE, DAY), moved(BEFORE, MINUTE, query="y")):
        plot = evidence_plot("t", [BEFORE, other])
        assert plot is not None
        assert [line.name[-1] for line in plot.lines] == ["b"]


def test_without_values_the_rules_inputs_are_plotted_and_without_these_nothing() -> None:
    bare = {name: value for name, value in BEFORE.items() if name != "values"}
    plot = evidence_plot("t", [bare])
    assert plot is not None
    assert plot.lines == [Line("errors instance=a", [(T0, 120.0)], 0)]
    assert plot.threshold is None
    assert evidence_plot("t", [{**bare, "inputs": []}]) is None
    assert evidence_plot("t", []) is None


def test_evidence_of_an_older_version_is_shown() -> None:
    old = {
        "alert": ALERT,
        "gathered_at": T0,
        "value": "NaN",
        "inputs": BEFORE["inputs"],
        "queries": [],
        "events": [],
        "notes": [],
    }
    assert next(evidence_lines([old])) == "2023-11-14 22:13:20 UTC value NaN"
    assert "value NaN" in evidence_html([old])
    assert evidence_plot("t", [old]) is not None
    assert list(evidence_lines([{"gathered_at": T0, "value": "1"}]))


def test_stale_markers_and_infinities_are_gaps_of_a_plot() -> None:
    values = {**BEFORE["values"], "samples": [[T0, "stale"], [T0 + 1, "+Inf"], [T0 + 2, "NaN"]]}
    plot = evidence_plot("t", [{**BEFORE, "values": {**values, "threshold": "-Inf"}}])
    assert plot is not None
    assert "3 that are no number" in render(plot)


class Tags(HTMLParser):
    """What tags and attributes a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(name for name, _ in attrs)))


def replaced(value: Any, text: str) -> Any:
    """A document whose every text, names of labels included, is this one, but for numbers."""
    if isinstance(value, dict):
        return {
            (f"{name}{text}" if "__name__" in value or "instance" in value else name): replaced(
                each, text
            )
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [replaced(each, text) for each in value]
    return f"{value}{text}" if isinstance(value, str) and not value[:1].isdigit() else value


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</td></table></section><iframe>",
        "'; x='{0.__class__}{{7*7}}%s",
    ],
)
def test_whatever_was_sent_is_text(text: str) -> None:
    hostile = [replaced(BEFORE, text), replaced(AFTER, text)]
    plain = Tags(evidence_html([BEFORE, AFTER], "/tasks/"))
    assert Tags(evidence_html(hostile, "/tasks/")).found == plain.found
    plot = evidence_plot(text, hostile)
    assert plot is not None
    tags = set(re.findall(r"<(\w+)", render(plot)))
    assert tags <= {"svg", "title", "desc", "style", "rect", "text", "line", "path", "circle"}


def test_text_says_nothing_to_a_terminal() -> None:
    lines = list(evidence_lines([replaced(BEFORE, "\x1b[2J\n\x07\x9b1m\u202e")]))
    assert not [c for line in lines for c in line if not c.isprintable()]


def test_the_time_for_which_the_condition_must_hold_is_a_band_of_the_plot() -> None:
    made = evidence_plot("t", [BEFORE, AFTER])
    assert made is not None
    # From detection on, a second after the onset, for the rule's five minutes.
    assert made.bands == [Band(T0 + 1_000, T0 + 1_000 + 5 * MINUTE, "must hold for 5m")]
    at_once = {**BEFORE, "values": {**BEFORE["values"], "for": 0}}
    without = evidence_plot("t", [at_once])
    assert without is not None
    assert without.bands == []


def test_of_values_by_seconds_a_text_shows_the_last_two_and_what_was_well_before() -> None:
    at = [T0 - 32_000, T0 - 16_000, *range(T0 - 15_000, T0 + 1, 1_000)]
    values = {"step": 16_000, "samples": [[each, "1"] for each in at]}
    # The newest, the one a second before it, and the first that is 16 s before that one.
    assert [T0 - each for each, _ in spread(values)] == [32_000, 1_000, 0]
