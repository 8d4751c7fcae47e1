"""CPU seconds per million samples received by OTLP, beside the same samples by remote write.

    .venv/bin/python tests/bench/otlp.py

Debian's Prometheus takes no OTLP (its 2.42 has no receiver), so that remote write into the same
collector is the measure. One sender, 2,000 series with one sample each; a histogram is 18 samples.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.ingest import forewarn, load_of, measure
from bench.ingest_bodies import KINDS, Shape
from bench.ingest_load import Answers, Sender, send_all
from bench.process_cost import cost
from support.otlp_metrics import (
    DELTA,
    document,
    exponential,
    gauge,
    histogram,
    point,
    protobuf,
    sum_of,
)

_WARM = 3
_STEP = 10_000
_RESOURCE = {"service__name": "shop", "service__instance__id": "i-1", "host__name": "h1"}
_BOUNDS = [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0]
_BOUNDS += [1e3, 2.5e3, 5e3, 7.5e3, 1e4]


def _numbers(time: int, series: int) -> list[dict[str, Any]]:
    return [
        point(time - _STEP, time, asDouble=1.5 + n, labels={"device": f"sd{n}"})
        for n in range(series)
    ]


def _histogram(time: int, n: int) -> dict[str, Any]:
    labels = {"route": f"/{n}"}
    counts = ["1"] * (len(_BOUNDS) + 1)
    fields = {"count": "16", "sum": 9.5, "bucketCounts": counts, "explicitBounds": _BOUNDS}
    return point(time - _STEP, time, labels=labels, **fields)


def _exponential(time: int, n: int) -> dict[str, Any]:
    positive = {"offset": 4, "bucketCounts": ["1"] * 60}
    labels = {"route": f"/{n}"}
    return point(time - _STEP, time, labels=labels, count="60", sum=9.5, scale=3, positive=positive)


SHAPES: dict[str, tuple[int, Callable[[int], list[dict[str, Any]]]]] = {
    "gauges, 100 x 20": (2_000, lambda t: [gauge(f"m{i}", *_numbers(t, 20)) for i in range(100)]),
    "gauges, 2,000 x 1": (2_000, lambda t: [gauge(f"m{i}", *_numbers(t, 1)) for i in range(2000)]),
    "delta sums, 100 x 20": (
        2_000,
        lambda t: [sum_of(f"m{i}", *_numbers(t, 20), temporality=DELTA) for i in range(100)],
    ),
    "histograms, 11 x 10": (
        110 * 18,
        lambda t: [histogram(f"m{i}", *(_histogram(t, n) for n in range(10))) for i in range(11)],
    ),
    # Up to 2**8 in steps of two from 1 on: nine bounds and 0, +Inf, the count and the sum.
    "exponential, 15 x 10": (
        150 * 13,
        lambda t: [
            exponential(f"m{i}", *(_exponential(t, n) for n in range(10))) for i in range(15)
        ],
    ),
}


class OtlpSender(Sender):
    """One kept connection for OTLP."""

    def __init__(self, port: int, token: str, answers: Answers) -> None:
        super().__init__(port, token, 1, answers)
        self._head = (
            f"POST /v1/metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/x-protobuf\r\n"
        )


def by_otlp(make: Callable[[int], list[dict[str, Any]]], size: int, turns: int) -> float:
    """CPU seconds per million samples of such requests."""
    start = int(time.time() * 1000) - 3_600_000
    made = [
        protobuf(document(*make(start + turn * _STEP), resource=_RESOURCE))
        for turn in range(_WARM + turns)
    ]
    noted = Answers()
    with (
        tempfile.TemporaryDirectory(prefix="forewarn-otlp-") as folder,
        forewarn(Path(folder)) as receiver,
    ):
        sender = OtlpSender(receiver.port, receiver.token, noted)
        try:
            send_all([sender], [made[:_WARM]])
            before = cost(receiver.pid).cpu
            send_all([sender], [made[_WARM:]])
            spent = cost(receiver.pid).cpu - before
        finally:
            sender.close()
    assert set(noted.counts) == {200}, noted.refusal
    return spent / (size * turns) * 1e6


def main() -> None:
    """Print a row for each shape."""
    turns = 60
    print("CPU seconds per million samples, received and on disk")
    for name, (size, make) in SHAPES.items():
        print(f"{name:28} {by_otlp(make, size, turns):8.2f}", flush=True)
    shape = Shape(2_000, 1)
    start = int(time.time() * 1000) - 3_600_000
    for kind in KINDS[:2]:
        with (
            tempfile.TemporaryDirectory(prefix="forewarn-otlp-") as folder,
            forewarn(Path(folder)) as receiver,
        ):
            load = load_of(kind, shape, 1, shape.size * turns, start)
            print(f"remote write, {kind.name:14} {measure(receiver, load):8.2f}", flush=True)


if __name__ == "__main__":
    main()
