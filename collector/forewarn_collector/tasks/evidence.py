"""What a person wants to see first: the samples, events and queries around an alert's start.

A document of evidence, as JSON; times are ms, values are text as in Prometheus' HTTP API:

    {"alert": {label: value}, "onset": ms, "detected": ms, "gathered_at": ms, "value": text,
     "values":  see `SharedValues.frame`, and their "samples"; absent where there are none,
     "owed":    the same without samples, where there was no time: the follow-up has them,
     "inputs":  [{"query": selector, "series": [{"labels": {}, "samples": [[ms, value]]}]}],
     "queries": [{"query": expr, "series": [...]}],
     "events":  [{"time", "type", "severity", "labels", "body", "attributes"}],
     "changes": [{"at": ms, "before": ms before the onset, "what": text}],
     "processes": {"cpu": [[name, seconds a second]], "memory": [[name, bytes]]},
     "earlier": see `earlier.py`; what the ledger adds when the document is kept,
     "notes":   [what could not be gathered, and why],
     "follow_up_at": ms; when its follow-up is due; absent where there will be none}

A follow-up has the values after that, and those that were owed, once: {"follows": the other's
"gathered_at", "alert", "gathered_at", "values", "notes"}.

All is of the alert's customer, or of none.

Gathering is bounded in time and size, and never raises: a task opens with or without evidence.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from forewarn_collector.promql import (
    Deadline,
    EvalError,
    PromQLError,
    QueryTimeoutError,
    compile_query,
    plain_float,
)
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule, EvidenceSpec
from forewarn_collector.store import Matcher, MatchOp, SeriesColumns, SeriesSource
from forewarn_collector.tasks.evidence_changes import (
    EVENT_TYPES,
    EVENTS,
    REACH,
    changes_before,
)
from forewarn_collector.tasks.evidence_processes import top_processes
from forewarn_collector.tasks.evidence_scope import (
    HOST_LABELS,
    Scopes,
    customer_within,
    host_of,
)
from forewarn_collector.tasks.evidence_values import (
    AFTER,
    POINTS,
    SharedValues,
    samples_of,
    values_after,
)
from forewarn_collector.tasks.identity import CUSTOMER
from forewarn_collector.tasks.routing import RECEIVED
from forewarn_wire import Event, Labels
from forewarn_wire.labels import METRIC_NAME

log = logging.getLogger(__name__)

Document = dict[str, Any]
Gathered = Callable[[float, int], None]
"""Hears how many seconds gathering took, and how many parts could not be had."""
_Step = tuple[str, Callable[[], None]]
"""A part of a document, and what fills it."""
Events = Callable[[Sequence[Matcher], int, int, int], list[Event]]
"""`(matchers, start, end, limit)` -> events, the newest first; times in ms, both included."""

_SERIES = 10
_SAMPLES = 60
_EVENTS = 20
_BODY = 500
_INPUT_SPAN = 15 * 60_000
_EVENT_SPAN = 15 * 60_000
_FEW = 20
_BUDGET_SECONDS = 0.25
"""For a whole round: a thousand tasks at once must not wait for their evidence."""

_VARIABLE = re.compile(r"\$(?:\{([a-zA-Z_][a-zA-Z0-9_]*)\}|([a-zA-Z_][a-zA-Z0-9_]*))")
# Escapes that hold within either kind of PromQL's quotes.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': "\\x22", "'": "\\x27", "\n": "\\n", "`": "\\x60"})


class StoreEvidence:
    """Evidence from the store: a rule's inputs, its `evidence:` block, the host's last events."""

    def __init__(
        self, source: SeriesSource, events: Events, gathered: Gathered = lambda *_: None
    ) -> None:
        self._source = source
        self._events = events
        self._gathered = gathered

    def gather(self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int) -> list[Document]:
        """One document for each alert, in order; what could not be had stands in its notes.

        The first step of each is taken before the second of any, so that of very many tasks each
        has the values of its rule.
        """
        end = time.monotonic() + _BUDGET_SECONDS
        deadline, scopes = Deadline(end), Scopes(self._source)
        documents = [_begun(rule, alert, at) for rule, alert in wanted]
        shared = SharedValues(scopes, wanted, at, deadline)
        steps = [
            iter(self._steps(document, rule, alert, at, deadline, scopes))
            for document, (rule, alert) in zip(documents, wanted, strict=True)
        ]
        # A few have what they read first, which is soon done: an expression may take all the time.
        for document, own in zip(documents[:_FEW], steps, strict=False):
            _take(next(own), end, document)
        for place, document in enumerate(documents):
            _attempt(("values", partial(_values, document, shared, place)), document)
        for round_ in zip_longest(*steps):
            for document, step in zip(documents, round_, strict=True):
                if step is not None:
                    _take(step, end, document)
        self._tell(end, documents)
        return documents

    def follow_up(self, documents: Sequence[Mapping[str, Any]], at: int) -> list[Document]:
        """The follow-ups of the first documents, one at least, in order."""
        end = time.monotonic() + _BUDGET_SECONDS
        found: list[Document] = []
        for document in documents:
            if not found or time.monotonic() <= end:
                found.append(self._after(document, at, end))
        self._tell(end, found)
        return found

    def _tell(self, end: float, documents: Sequence[Document]) -> None:
        took = time.monotonic() - (end - _BUDGET_SECONDS)
        notes = [note for document in documents for note in document["notes"]]
        if documents:
            self._gathered(took, len(notes))
        if notes:
            log.warning(
                "evidence of %d tasks took %.2f s and has %d gaps, the first: %s",
                len(documents), took, len(notes), notes[0],
            )  # fmt: skip

    def _steps(
        self,
        document: Document,
        rule: AlertingRule,
        alert: Alert,
        at: int,
        deadline: Deadline,
        scopes: Scopes,
    ) -> list[_Step]:
        """How a document is filled beside its values, the most telling first."""
        customer = dict(alert.labels).get(CUSTOMER, "")
        source = scopes.of(customer)
        steps: list[_Step] = [
            ("inputs", partial(_inputs, document, source, rule, alert, at)),
            *(
                (
                    spec.expr or spec.events,
                    partial(self._asked, document, source, spec, alert, at, deadline),
                )
                for spec in rule.task.evidence
            ),
        ]
        if not any(spec.events for spec in rule.task.evidence):
            steps.append(("events", partial(self._host_events, document, alert, at)))
        if host_of(alert.labels):
            steps += [
                ("changes", partial(self._changes, document, source, rule, alert)),
                ("processes", partial(_processes, document, source, alert, deadline)),
            ]
        return steps

    def _after(self, before: Mapping[str, Any], at: int, end: float) -> Document:
        document: Document = {
            "follows": before["gathered_at"],
            "alert": before["alert"],
            "gathered_at": at,
            "notes": [],
        }

        def values() -> None:
            source = Scopes(self._source).of(before["alert"].get(CUSTOMER, ""))
            document["values"] = values_after(source, before, Deadline(end))

        _take(("values", values), end, document)
        return document

    def _changes(
        self, document: Document, source: SeriesSource, rule: AlertingRule, alert: Alert
    ) -> None:
        host, onset = host_of(alert.labels), alert.onset
        told = [*host, Matcher("type", MatchOp.REGEX, EVENT_TYPES)]
        events = self._events(told, onset - REACH, onset, EVENTS)
        apart = rule.query.metrics or ()
        document["changes"] = changes_before(source, events, host, onset, apart)

    def _asked(
        self,
        document: Document,
        source: SeriesSource,
        spec: EvidenceSpec,
        alert: Alert,
        at: int,
        deadline: Deadline,
    ) -> None:
        text = substitute(spec.expr or spec.events, alert.labels)
        try:
            query = compile_query(text)
            if spec.events:
                own = customer_within(dict(alert.labels).get(CUSTOMER, ""))
                told = [*query.selectors[0].matchers, *own]
                found = self._events(told, at - spec.last, at, _EVENTS)
                document["events"].extend(_event(event) for event in found[:_EVENTS])
                return
            step = max(1_000, spec.last // POINTS)
            result = query.range(source, at - spec.last, at, step, deadline=deadline)
        except (PromQLError, EvalError) as error:
            document["notes"].append(f"{text}: {error}")
            return
        series = [
            {
                "labels": dict(labels),
                "samples": samples_of(
                    result.times[result.present[row]], result.values[row][result.present[row]]
                ),
            }
            for row, labels in enumerate(result.labels[:_SERIES])
        ]
        document["queries"].append({"query": text, "series": series})

    def _host_events(self, document: Document, alert: Alert, at: int) -> None:
        host = host_of(alert.labels)
        if host:
            found = self._events(host, at - _EVENT_SPAN, at, _EVENTS)
            document["events"].extend(_event(event) for event in found[:_EVENTS])


def _values(document: Document, shared: SharedValues, place: int) -> None:
    document["owed"] = shared.frame(place)
    document["follow_up_at"] = document["gathered_at"] + AFTER
    try:
        samples = shared.samples(place)
    except QueryTimeoutError:
        document["notes"].append("values: gathering took too long; they come with what came after")
        return
    frame = document.pop("owed")
    if samples:
        document["values"] = {**frame, "samples": samples}
    else:
        del document["follow_up_at"]


def _inputs(
    document: Document, source: SeriesSource, rule: AlertingRule, alert: Alert, at: int
) -> None:
    # A rule often reads one input twice, to compare it in two ways.
    chosen = {(each.matchers, each.offset): each for each in rule.query.selectors}
    for selector in chosen.values():
        end = at - selector.offset
        series: list[Document] = []
        for narrowed in _narrowings(selector.matchers, alert.series):
            series = _series(source.select(narrowed, end - _INPUT_SPAN, end))
            if series:
                break
        document["inputs"].append({"query": _written(selector.matchers), "series": series})


def _processes(document: Document, source: SeriesSource, alert: Alert, deadline: Deadline) -> None:
    host = _braced(host_of(alert.labels))
    document["processes"] = top_processes(source, host, alert.onset, deadline)


def _begun(rule: AlertingRule, alert: Alert, at: int) -> Document:
    return {
        "alert": dict(alert.labels),
        "gathered_at": at,
        "onset": alert.onset,
        "detected": alert.active_at,
        # Who sends an alert does not say what it measured.
        "value": "" if rule.key.startswith(RECEIVED) else plain_float(alert.value),
        "inputs": [],
        "queries": [],
        "events": [],
        "changes": [],
        "processes": {},
        "notes": [],
    }


def _take(step: _Step, end: float, document: Document) -> None:
    """Take a step, up to a moment in seconds of `time.monotonic`; note if it failed or is left."""
    if time.monotonic() > end:
        document["notes"].append(f"{step[0]}: left out, gathering took too long")
    else:
        _attempt(step, document)


def _attempt(step: _Step, document: Document) -> None:
    name, fill = step
    try:
        fill()
    except Exception as error:  # noqa: BLE001 - evidence never stands in a task's way
        document["notes"].append(f"{name}: {error or type(error).__name__}")


def substitute(text: str, labels: Labels) -> str:
    """Put an alert's labels in place of `$name` and `${name}` in a query.

    They are escaped to stand within quotes, for `=` and `!=`; an absent label is empty text.
    """
    values = dict(labels)

    def value(match: re.Match[str]) -> str:
        return values.get(match.group(1) or match.group(2), "").translate(_ESCAPES)

    return _VARIABLE.sub(value, text)


def _narrowings(matchers: Sequence[Matcher], series: Labels) -> Iterator[list[Matcher]]:
    """A rule's selector made to find this alert's own inputs: by all labels, else by its host.

    An input may lack labels that the alert has from the other side of a join.
    """
    pairs = [pair for pair in series if pair[0] != METRIC_NAME]
    yield [*matchers, *(Matcher(name, MatchOp.EQUAL, value) for name, value in pairs)]
    host = [Matcher(name, MatchOp.EQUAL, value) for name, value in pairs if name in HOST_LABELS]
    if host and len(pairs) > len(host):
        yield [*matchers, *host]


def _written(matchers: Sequence[Matcher]) -> str:
    name, rest = "", []
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL:
            name = matcher.value
        else:
            rest.append(matcher)
    return f"{name}{{{_braced(rest, ', ')}}}" if rest or not name else name


def _braced(matchers: Sequence[Matcher], between: str = ",") -> str:
    return between.join(
        f"{matcher.name}{matcher.op.value}{json.dumps(matcher.value)}" for matcher in matchers
    )


def _series(columns: SeriesColumns) -> list[Document]:
    found: list[Document] = []
    for row, labels in enumerate(columns.labels):
        start, end = columns.offsets[row], columns.offsets[row + 1]
        if start < end:
            part = slice(max(start, end - _SAMPLES), end)
            samples = samples_of(columns.times[part], columns.values[part])
            found.append({"labels": dict(labels), "samples": samples})
        if len(found) == _SERIES:
            break
    return found


def _event(event: Event) -> Document:
    return {
        "time": event.time,
        "type": event.type,
        "severity": event.severity.value,
        "labels": dict(event.labels),
        "body": event.body if len(event.body) <= _BODY else event.body[: _BODY - 1] + "…",
        "attributes": {
            name: value[:_BODY] for name, value in list(event.attributes.items())[:_EVENTS]
        },
    }
