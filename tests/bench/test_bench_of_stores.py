"""What the benchmark of stores sends is what was recorded, of more hosts and for longer."""

from __future__ import annotations

import cramjam
import numpy as np

from bench.chunks import Host
from bench.store_fleet import Fleet
from forewarn_collector.store.sealed import ChunkData
from forewarn_wire import labels_from
from support.prompb import WriteRequest

STEP = 10_000


def recording() -> Host:
    """Eleven samples of a counter, a gauge, one that is no number at times and one that ended."""
    times = np.arange(11, dtype=np.int64) * STEP + 5
    counter, gauge = np.arange(11) * 2.0, np.tile([1.0, 3.0], 6)[:11]
    broken = np.where(np.arange(11) == 4, np.nan, 1.0)
    return Host(
        "node",
        ChunkData(
            np.arange(4),
            np.array([0, 11, 22, 33, 35]),
            np.concatenate((times, times, times, times[:2])),
            np.concatenate((counter, gauge, broken, gauge[:2])),
        ),
        [
            labels_from({"__name__": name, "instance": "web"})
            for name in ("counter", "gauge", "broken", "ended")
        ],
    )


def test_hosts_are_copied_and_go_on() -> None:
    end = 1_750_000_000_000
    fleet = Fleet([recording()], 4, 20 * STEP, end)
    sent: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for body in fleet.bodies():
        request = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
        for series in request.timeseries:
            found = {label.name: label.value for label in series.labels}
            key = (found["__name__"], found["instance"], found["bench"])
            sent.setdefault(key, []).extend((s.timestamp, s.value) for s in series.samples)
    names = [(name, f"web-00{copy}", "store") for copy in (0, 1) for name in ("counter", "gauge")]
    assert list(sent) == names
    times = [end - STEP * left for left in reversed(range(20))]
    for name in names:
        assert [time for time, _ in sent[name]] == times
    # The counter rises on where it was; the gauge is as it was.
    assert [value for _, value in sent[names[0]]] == [
        *np.arange(11) * 2.0,
        *(20 + np.arange(9) * 2.0),
    ]
    assert [value for _, value in sent[names[1]]] == ([1.0, 3.0] * 6)[:11] + [1.0, 3.0] * 4 + [1.0]
    assert fleet.samples == 80
