"""One item of a test file's `tests`: its series and checks, or all that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from forewarn_collector.rules.fields import RuleReader
from forewarn_collector.rules.positions import place_in_file
from forewarn_collector.rules.testing.model import (
    AlertCheck,
    Case,
    Expected,
    ExpectedTask,
    ExprCheck,
    InputSeries,
    TaskCheck,
)
from forewarn_collector.rules.testing.notation import NotationError, read_series, read_values
from forewarn_wire import Labels, Problem
from forewarn_wire.durations import format_duration
from forewarn_wire.readers import duration

T = TypeVar("T")

_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_LABELS: Labels = ()
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")


class CaseReader(RuleReader):
    """Reads a section of a test file; what is wrong goes to the section's problems."""

    def each(self, name: str) -> Iterator[CaseReader]:
        """The items of a list, one by one; once an item is read its other fields are refused."""
        for section in self.section.sections(name):
            yield CaseReader(section, self.source)
            section.refuse_unknown()

    def value(self, name: str, read: Callable[[str], T], default: T) -> T:
        """A field's text through `read`, which raises NotationError or another ValueError."""
        text = self.section.written(name)
        if text is None:
            return default
        line, column = self.section.place(name)
        try:
            return read(text)
        except NotationError as error:
            line, column = place_in_file(self.source, line, column, text, error.offset)
            problem = Problem(
                self.section.file, line, column, f"{name}: {error.message}", error.hint
            )
        except ValueError as error:
            problem = Problem(self.section.file, line, column, f"{name}: {error}")
        self.section.problems.append(problem)
        return default

    def time(self) -> int:
        """When a check is made, in ms from the start."""
        return self.section.take("eval_time", duration, 0)

    def pairs(self, name: str) -> Labels:
        """A mapping of names to text as sorted pairs, also empty ones."""
        inner = self.section.section(name)
        if inner is None:
            return ()
        return tuple(sorted((key, inner.written(key) or "") for key in inner.names()))


def read_case(reader: CaseReader, interval: int) -> Case:
    """A case; what is wrong with it becomes its own problems, so that it spares the others.

    `interval` (ms) is between two values of a series where the case does not say.
    """
    section = reader.section
    before = len(section.problems)
    name = reader.text("name")
    case = Case(
        name=name,
        interval=section.take("interval", duration, 0) or interval,
        start=reader.value("start_timestamp", _timestamp, 0),
        series=[_read_input(each) for each in reader.each("input_series")],
        alerts=[_read_alerts(each, name) for each in reader.each("alert_rule_test")],
        exprs=[found for each in reader.each("promql_expr_test") for found in _read_expr(each)],
        tasks=[_read_tasks(each) for each in reader.each("task_test")],
        external_labels=dict(reader.pairs("external_labels")),
        external_url=reader.text("external_url"),
        place=section.place(),
    )
    section.refuse_unknown()
    case.problems.extend(sorted(section.problems[before:], key=lambda found: found[1:3]))
    del section.problems[before:]
    return case


def _read_input(reader: CaseReader) -> InputSeries:
    if not reader.text("series"):
        reader.section.problem("series", "series is missing", 'such as up{instance="a"}')
    labels = reader.value("series", read_series, _NO_LABELS)
    return InputSeries(labels, *reader.value("values", read_values, read_values("")))


def _read_alerts(reader: CaseReader, case: str) -> AlertCheck:
    at, name = reader.time(), reader.text("alertname")
    if not name:
        group = f" (in TestGroup {case})" if case else ""
        reader.section.problem(
            "alertname",
            "an item under alert_rule_test misses required attribute alertname"
            f" at eval_time {format_duration(at)}{group}",
            "name the alert: one item for each name and time",
        )
    expected: list[Expected] = []
    for each in reader.each("exp_alerts"):
        labels = dict(each.pairs("exp_labels")) | {"alertname": name}
        expected.append((tuple(sorted(labels.items())), each.pairs("exp_annotations")))
    return AlertCheck(at, name, sorted(expected), reader.section.place())


def _read_expr(reader: CaseReader) -> Iterator[ExprCheck]:
    at, query = reader.time(), reader.query("expr")
    samples: list[tuple[Labels, float]] = []
    for each in reader.each("exp_samples"):
        labels = each.value("labels", read_series, _NO_LABELS)
        samples.append((labels, each.value("value", _number, 0.0)))
        hint = "forewarn stores floats; test histogram_quantile() over classic buckets instead"
        each.refuse("histogram", "native histograms are not supported", hint)
    if query is not None:
        yield ExprCheck(
            at, query, sorted(samples, key=lambda pair: pair[0]), reader.section.place()
        )


def _read_tasks(reader: CaseReader) -> TaskCheck:
    at, name = reader.time(), reader.section.written("alertname")
    if "exp_tasks" not in reader.section:
        hint = "write exp_tasks: [] where no task may be open"
        reader.section.problem("", "exp_tasks is missing", hint)
    expected = [
        ExpectedTask(
            each.section.written("title"),
            each.section.written("severity"),
            dict(each.pairs("labels")),
        )
        for each in reader.each("exp_tasks")
    ]
    return TaskCheck(at, name, expected, reader.section.place())


def _timestamp(text: str) -> int:
    """RFC 3339, or seconds since epoch; in ms."""
    if _NUMBER.fullmatch(text):
        return round(float(text) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"not a time: {text}; write 2024-01-01T00:00:00Z or seconds since 1970")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return round(since.total_seconds() * 1000)


def _number(text: str) -> float:
    """A number as YAML writes it."""
    if special := _SPECIAL.fullmatch(text):
        return float(special[1] + special[2])
    if _NUMBER.fullmatch(text):
        return float(text)
    raise ValueError(f"expected a number, found {text}; write 1, 2.5, 1e6, .inf, -.inf or .nan")
