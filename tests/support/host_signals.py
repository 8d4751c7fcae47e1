"""A real host's samples, recorded once, and a day that is made up from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cramjam
import numpy as np

from forewarn_wire import Labels, is_stale, labels_from, metric_name
from support.prompb import WriteRequest
from support.recorder import recording
from support.servers import running_agent

Values = dict[Labels, float]

_COUNTERS = ("_total", "_count", "_sum", "_bucket")


def captured(folder: Path) -> Values:
    """What Prometheus 2.42 wrote of a host's node_exporter, see `../shared/data/captures`."""
    found: Values = {}
    for file in sorted(folder.glob("prometheus242_api_v1_write.*.body")):
        body = bytes(cramjam.snappy.decompress_raw(file.read_bytes()))
        for series in WriteRequest.FromString(body).timeseries:
            labels = labels_from({label.name: label.value for label in series.labels})
            found[labels] = series.samples[-1].value
    return _alive(found)


def from_agent(folder: Path) -> Values:
    """What our agent sends of this host."""
    with recording() as recorder, running_agent(folder, recorder.url, "", "--interval", "1s"):
        recorder.wait_for("three writes", lambda: len(recorder.to("/api/v1/write")) > 2)
        samples = recorder.samples()
    return _alive({labels_from(labels): value for labels, value, _ in samples})


def _alive(values: Mapping[Labels, float]) -> Values:
    return {labels: value for labels, value in values.items() if not is_stale(value)}


def told(
    values: Values, ticks: int, faults: Mapping[str, Callable[[float], float]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """`float64[series, ticks]`: counters count on, gauges waver; `faults` set in at a third.

    A fault makes another value of a metric's. It is over after two thirds of the ticks.
    """
    rows = np.empty((len(values), ticks))
    steps = np.arange(ticks)
    for row, (labels, value) in enumerate(values.items()):
        name = metric_name(labels)
        if name.endswith(_COUNTERS):
            rows[row] = value + steps * (row % 5)
        elif value == int(value):
            rows[row] = value
        else:
            rows[row] = value * (1 + 0.001 * ((steps + row) % 3))
        fault = faults.get(name)
        if fault is not None:
            bad = slice(ticks // 3, 2 * ticks // 3)
            rows[row, bad] = [fault(before) for before in rows[row, bad].tolist()]
    return rows
