"""Answers to queries in one form, wherever they come from."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from differential.question import Question
from forewarn_collector.promql import (
    EvalError,
    LiveWindows,
    PromQLError,
    Result,
    Round,
    ValueType,
    compile_query,
    share,
)
from forewarn_collector.store import SeriesSource, Store
from forewarn_wire import Labels, labels_from


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says: values by series and time (ms), or the kind of error.

    `order` has the values of an instant vector as they were listed, `text` a string's value or
    an error's message.
    """

    kind: str
    series: dict[Labels, dict[int, float]] = field(default_factory=dict)
    order: list[float] = field(default_factory=list)
    text: str = ""

    @property
    def failed(self) -> bool:
        """Whether the query was refused."""
        return self.kind in ("bad_data", "execution", "timeout", "internal")

    @property
    def empty(self) -> bool:
        """Whether nothing was found."""
        return not self.series and self.kind != "string"

    def __str__(self) -> str:
        if self.failed or self.kind == "string":
            return f"{self.kind}: {self.text}"
        lines = [
            f"  {dict(labels)}: "
            + " ".join(f"{time / 1000:.3f}:{value!r}" for time, value in points.items())
            for labels, points in self.series.items()
        ]
        return "\n".join([self.kind, *lines])


class Server:
    """A kept connection to the HTTP API of Prometheus, or of a collector."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def write(self, body: bytes) -> None:
        """Remote write."""
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        status, text = self._post("/api/v1/write", body, headers)
        assert status in (200, 204), f"{status}: {text!r}"

    def ask(self, question: Question, start: int) -> Answer:
        """Ask with the dataset's start at `start` (s since epoch)."""
        given: dict[str, str | int] = {"query": question.expression(start)}
        if question.step:
            path = "/api/v1/query_range"
            given |= {"start": start + question.start, "end": start + question.end}
            given["step"] = question.step
        else:
            path = "/api/v1/query"
            given["time"] = start + question.start
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        _, text = self._post(path, urllib.parse.urlencode(given).encode(), headers)
        return from_json(json.loads(text))

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self._connection.request("POST", path, body, headers)
        with self._connection.getresponse() as response:
            return response.status, response.read()


def from_json(answer: dict[str, Any]) -> Answer:
    """An answer of the HTTP API."""
    if answer["status"] != "success":
        return Answer(answer["errorType"], text=answer["error"])
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    match kind:
        case "string":
            return Answer(kind, text=result[1])
        case "scalar":
            return Answer(kind, {(): {_ms(result[0]): float(result[1])}})
        case "vector":
            series = {labels_from(one["metric"]): dict([_point(one["value"])]) for one in result}
            assert len(series) == len(result), f"the same labels twice: {result}"
            return Answer(kind, series, [float(one["value"][1]) for one in result])
    series = {labels_from(one["metric"]): dict(map(_point, one["values"])) for one in result}
    assert len(series) == len(result), f"the same labels twice: {result}"
    return Answer(kind, series)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _point(pair: tuple[float, str]) -> tuple[int, float]:
    return _ms(pair[0]), float(pair[1])


def in_process(source: SeriesSource, question: Question, start: int) -> Answer:
    """Our engine's answer, without HTTP."""
    begin, end = (start + question.start) * 1000, (start + question.end) * 1000
    try:
        query = compile_query(question.expression(start))
        if question.step:
            result = query.range(source, begin, end, question.step * 1000)
        else:
            result = query.instant(source, begin)
    except PromQLError as error:
        return Answer("bad_data", text=str(error))
    except EvalError as error:
        return Answer("execution", text=str(error))
    return from_result(result)


def in_rounds(
    source: Store, texts: Sequence[str], instants: Sequence[int]
) -> Iterator[tuple[int, str, Answer]]:
    """The answers at each instant (ms) of a rule evaluator: plans shared, windows kept up."""
    queries = share([compile_query(text) for text in texts])
    live = LiveWindows(source)
    for at in instants:
        round_ = Round(source, at, live=live)
        for query in queries:
            try:
                answer = from_result(query.at(round_, at))
            except EvalError as error:
                answer = Answer("execution", text=str(error))
            yield at, query.text, answer


def from_result(result: Result) -> Answer:
    """An answer of our engine."""
    if result.kind is ValueType.STRING:
        return Answer("string", text=result.text)
    times = result.times.tolist()
    series: dict[Labels, dict[int, float]] = {}
    rows = result.rows().tolist()
    for row in rows:
        points = zip(times, result.values[row].tolist(), result.present[row].tolist(), strict=True)
        series[result.labels[row]] = {time: value for time, value, present in points if present}
    assert len(series) == len(rows), "the same labels twice"
    order = [value for _, value in result.vector()] if result.kind is ValueType.VECTOR else []
    return Answer(result.kind.value, series, order)
