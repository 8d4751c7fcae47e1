"""The same past in a data directory, a Prometheus, a VictoriaMetrics and a collector, for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from forewarn_collector.store import Batch, Store
from forewarn_wire import Labels, metric_name
from support.prompb import message
from support.servers import answers, call, free_port, program, running
from support.waiting import wait_until
from support.writing import snappy

Past = Mapping[Labels, Sequence[tuple[int, float]]]
"""Samples (ms, value) by series."""


def write_directory(folder: Path, past: Past, now: int) -> None:
    """A data directory with these samples, as a collector leaves it at `now` (ms)."""
    store = Store(folder, retention=400 * 86_400_000, clock=lambda: now)
    store.open()
    try:
        store.append(as_batch(past)).result()
    finally:
        store.close()


def as_batch(past: Past) -> Batch:
    """All samples as one batch."""
    labels = list(past)
    rows = np.repeat(np.arange(len(labels)), [len(past[each]) for each in labels])
    pairs = [pair for each in labels for pair in past[each]]
    return Batch(
        labels,
        rows.astype(np.int64),
        np.array([time for time, _ in pairs], dtype=np.int64),
        np.array([value for _, value in pairs], dtype=np.float64),
    )


def open_metrics(past: Past) -> str:
    """The samples as OpenMetrics, in which stale markers cannot be written: they are left out."""
    lines = [
        f"{_written(labels)} {value!r} {time / 1000:.3f}"
        for labels in sorted(past, key=metric_name)
        for time, value in past[labels]
        if value == value
    ]
    return "\n".join((*lines, "# EOF\n"))


def write_request(past: Past) -> bytes:
    """All samples as one remote write."""
    found = message("WriteRequest")
    for labels, pairs in past.items():
        series = found.timeseries.add()
        for name, value in labels:
            series.labels.add(name=name, value=value)
        for time, value in pairs:
            series.samples.add(timestamp=time, value=value)
    return snappy(found.SerializeToString())


@contextmanager
def prometheus_of(
    folder: Path, past: Past, config: str = "", flags: Sequence[str] = ()
) -> Iterator[str]:
    """Debian's Prometheus with these samples as blocks; yields its address."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "past.om").write_text(open_metrics(past))
    (folder / "prometheus.yml").write_text(config)
    command = ["tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    subprocess.run(
        [program("promtool"), *command, str(folder / "past.om"), str(folder / "tsdb")],
        check=True,
        capture_output=True,
    )
    port = free_port()
    with running(
        [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            "--storage.tsdb.retention.time=100y",
            "--web.enable-remote-write-receiver",
            f"--web.listen-address=127.0.0.1:{port}",
            *flags,
        ],
        folder / "prometheus.log",
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until("Prometheus is ready", lambda: answers(f"{url}/-/ready"), 30)
        yield url


@contextmanager
def victoria_of(folder: Path, past: Past) -> Iterator[str]:
    """Debian's VictoriaMetrics with these samples; yields its address."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with running(
        [
            program("victoria-metrics"),
            f"-storageDataPath={folder / 'victoria'}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            f"-httpListenAddr=127.0.0.1:{port}",
        ],
        folder / "victoria.log",
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until("VictoriaMetrics is ready", lambda: answers(f"{url}/health"), 30)
        text = "\n".join(
            f"{_written(labels)} {value!r} {time}"
            for labels, pairs in past.items()
            for time, value in pairs
            if value == value
        )
        assert call(f"{url}/api/v1/import/prometheus", text.encode()).status in {200, 204}
        call(f"{url}/internal/force_flush")
        yield url


def _written(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in labels if name != "__name__")
    return f"{metric_name(labels)}{{{pairs}}}"
