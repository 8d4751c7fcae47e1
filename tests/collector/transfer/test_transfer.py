"""Samples leave a data directory as files that others read, and come back as they were."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.cli import build
from forewarn_collector.store import Batch, Past, Store
from forewarn_collector.transfer.lines import LineError, read_lines
from forewarn_collector.transfer.text import series_name
from forewarn_wire import STALE_NAN, Labels, labels_from
from support.servers import call, free_port, program, running
from support.stores import HOUR, START, Clock, batch, series
from support.waiting import wait_until

AWKWARD = series("weird", path='C:\\dir "x"\n\té', empty_not="1")
UP = series("up", instance="web1")


_TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


def forewarn(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(lambda: START), [str(each) for each in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Some of it sealed, some not; the collector runs."""
    store = Store(tmp_path / "data", retention=24 * HOUR, clock=Clock(START + HOUR))
    store.open()
    samples = [(UP, START + 123 + k * 1001, k / 7) for k in range(1000)]
    store.append(batch(*samples)).result()
    store.seal()
    store.append(
        batch(
            (AWKWARD, START, math.inf),
            (AWKWARD, START + 1000, -0.0),
            (AWKWARD, START + 2000, 5e-324),
            (AWKWARD, START + 3000, math.nan),
            (AWKWARD, START + 4000, STALE_NAN),
        )
    ).result()
    yield tmp_path / "data"
    store.close()


def test_prometheus_finds_in_the_export_what_was_stored(data: Path, tmp_path: Path) -> None:
    file, blocks = tmp_path / "out.om", tmp_path / "tsdb"
    assert "1,004 samples; 1 stale markers" in forewarn("export", "--data", data, "-o", file).output
    subprocess.run(
        [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", file, blocks],
        check=True,
        capture_output=True,
    )
    (tmp_path / "prometheus.yml").write_text("")
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={blocks}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, tmp_path / "prometheus.log"):
        wait_until("Prometheus is ready", lambda: _ready(url))
        found = {name: _raw(url, f"{name}[30m]", START / 1000 + 1700) for name in ("up", "weird")}
    assert found["up"]["metric"] == dict(UP)
    assert [round(float(at) * 1000) for at, _ in found["up"]["values"]] == [
        START + 123 + k * 1001 for k in range(1000)
    ]
    assert [float(value) for _, value in found["up"]["values"]] == [k / 7 for k in range(1000)]
    assert found["weird"]["metric"] == dict(AWKWARD)
    assert [value for _, value in found["weird"]["values"]] == ["+Inf", "-0", "5e-324", "NaN"]


def test_what_promtool_dumps_is_what_was_exported(data: Path, tmp_path: Path) -> None:
    file, blocks, dump = tmp_path / "out.om", tmp_path / "tsdb", tmp_path / "dump.txt"
    assert forewarn("export", "--data", data, "-o", file).exit_code == 0
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", file, blocks]
    subprocess.run(command, check=True, capture_output=True)
    (blocks / "wal").mkdir()
    with dump.open("wb") as out:
        subprocess.run([program("promtool"), "tsdb", "dump", blocks], check=True, stdout=out)
    for name in (file, dump):
        answer = forewarn("import", name, "--data", tmp_path / name.stem)
        assert answer.output == "1,004 samples added, 0 there already, 0 lines refused\n"
        assert _contents(tmp_path / name.stem) == _contents(data, stale=False)


def test_a_second_import_adds_nothing(data: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "out.om", tmp_path / "other"
    forewarn("export", "--data", data, "-o", file)
    forewarn("import", file, "--data", other)
    again = forewarn("import", file, "--data", other)
    assert again.output == "0 samples added, 1,004 there already, 0 lines refused\n"


def test_a_running_collectors_directory_takes_no_import(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.om"
    file.write_text("up 1 1750000000\n")
    answer = forewarn("import", file, "--data", data)
    assert answer.exit_code == 1
    assert "in use by another collector" in answer.output


def test_bad_lines_are_told_with_their_numbers_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "some.om"
    file.write_text(
        "# TYPE up gauge\n"
        "up 1 1750000000\n"
        "up 2\n"
        "up two 1750000001\n"
        'up{a="1",a="2"} 1 1750000001\n'
        'up{a="1} 1 1750000001\n'
        'up 3 1750000002 # {trace_id="a b # c"} 0.5\n'
        "# EOF\n"
        "up 4 1750000003\n"
    )
    answer = forewarn("import", file, "--data", tmp_path / "data")
    assert answer.exit_code == 1
    assert [line.split(": ")[1] for line in answer.output.splitlines()[:-1]] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "line 9",
    ]
    assert answer.output.splitlines()[-1] == "2 samples added, 0 there already, 5 lines refused"
    strict = forewarn("import", file, "--data", tmp_path / "strict", "--strict")
    assert strict.exit_code == 1
    assert "line 3: it has no timestamp" in strict.output


def test_csv_has_a_line_for_every_sample(data: Path) -> None:
    answer = CliRunner().invoke(
        build(lambda: START), ["export", "--data", str(data), "--format", "csv", "--match", "weird"]
    )
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [row["value"] for row in rows] == ["+Inf", "-0.0", "5e-324", "NaN", ""]
    assert [int(row["timestamp_ms"]) - START for row in rows] == [0, 1000, 2000, 3000, 4000]
    labels = {"path": 'C:\\dir "x"\n\té', "empty_not": "1"}
    assert all(json.loads(row["labels"]) == labels for row in rows)


def test_parquet_keeps_every_bit(data: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "out.parquet"
    assert forewarn("export", "--data", data, "--match", "weird", "-o", file).exit_code == 0
    table = parquet.read_table(file)
    expected = np.array([math.inf, -0.0, 5e-324, math.nan, STALE_NAN])
    assert table["value"].to_numpy().tobytes() == expected.tobytes()
    assert table["name"].to_pylist() == ["weird"] * 5


def test_an_export_of_some_time_has_no_other(data: Path) -> None:
    answer = CliRunner().invoke(
        build(lambda: START),
        ["export", "--data", str(data), "--from", "2025-06-15T15:06:40.1Z", "--to", "1750000001"],
    )
    # START is 2025-06-15T15:06:40Z.
    up, weird, end = answer.stdout.splitlines()
    assert up == 'up{instance="web1"} 0.0 1750000000.123'
    assert weird.endswith("} -0.0 1750000001.000")
    assert end == "# EOF"


def test_lines_taken_together_are_as_those_taken_one_by_one() -> None:
    good = [
        b'up{i="%d"} %d 1750000%03d.%03d\n' % (k % 7, k, k % 1000, k % 997) for k in range(9000)
    ]
    lines = [*good[:5000], b"up 1 1e300\n", *good[5000:], b"# EOF\n", b"late 1 1\n"]
    together: list[LineError] = []
    batches = list(read_lines(lines, together.append))
    found = [
        (each.labels[row], time, value)
        for each in batches
        for row, time, value in zip(
            each.rows.tolist(), each.times.tolist(), each.values.tolist(), strict=True
        )
    ]
    assert found == [
        (series("up", i=str(k % 7)), 1750000000000 + k % 1000 * 1000 + k % 997, float(k))
        for k in range(9000)
    ]
    assert [error.line for error in together] == [5001, 9003]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_line_is_taken_or_refused(line: bytes) -> None:
    refused: list[LineError] = []
    batches = list(read_lines([b"up 1 1\n", line], refused.append))
    assert sum(len(each.times) for each in batches) + len(refused) >= 1


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True) | _TEXT, _TEXT, max_size=3),
    _TEXT,
    st.integers(-(10**15), 10**15),
    st.floats(),
)
def test_a_line_that_is_written_is_read(
    pairs: dict[str, str], name: str, time: int, value: float
) -> None:
    labels = labels_from({**pairs, "__name__": name})
    line = f"{series_name(labels)} {value!r} {time / 1000!r}\n".encode()
    refused: list[LineError] = []
    (found,) = read_lines([line], refused.append)
    assert isinstance(found, Batch)
    assert (found.labels[0], found.times[0]) == (labels, time)
    assert repr(found.values[0].item()) == repr(value)


def _ready(url: str) -> bool:
    try:
        return call(f"{url}/-/ready", timeout=2).status == 200
    except OSError:
        return False


def _raw(url: str, query: str, at: float) -> dict[str, Any]:
    (found,) = call(f"{url}/api/v1/query?query={query}&time={at}").json()["data"]["result"]
    result: dict[str, Any] = found
    return result


def read(line: bytes) -> list[tuple[Labels, int, float]]:
    refused: list[LineError] = []
    batches = list(read_lines([line], refused.append))
    assert not refused
    return [
        (each.labels[row], time, value)
        for each in batches
        for row, time, value in zip(
            each.rows.tolist(), each.times.tolist(), each.values.tolist(), strict=True
        )
    ]


def _contents(directory: Path, *, stale: bool = True) -> list[tuple[Any, int, str]]:
    past = Past(directory)
    try:
        labels = dict(past.series)
        rows = [
            (labels[ref], time, repr(value), np.float64(value).tobytes())
            for refs, times, values in past.samples(np.array(sorted(labels)), 0, 1 << 60)
            for ref, time, value in zip(refs.tolist(), times.tolist(), values.tolist(), strict=True)
        ]
    finally:
        past.close()
    marker = np.float64(STALE_NAN).tobytes()
    return sorted(row[:3] for row in rows if stale or row[3] != marker)


UTF8 = labels_from({"__name__": "disk.free", "host name": "web 1", "größe": '"', "plain": "1"})


def test_names_that_need_quotes_are_written_with_them_and_read_again() -> None:
    # As Prometheus 3 writes them: the metric's name within the braces.
    text = series_name(UTF8)
    assert text == r'{"disk.free","größe"="\"","host name"="web 1",plain="1"}'
    assert read(f"{text} 1.5 2.000\n".encode()) == [(UTF8, 2000, 1.5)]


def test_a_dump_is_known_as_one_where_a_label_stands_before_the_name() -> None:
    # promtool sorts labels by their bytes, in which capitals come before the underscore.
    line = b'{Zone="a", __name__="up", instance="h"} 1 1795900000123\n'
    expected = labels_from({"Zone": "a", "__name__": "up", "instance": "h"})
    assert read(line) == [(expected, 1795900000123, 1.0)]
    # The same text within a value says nothing.
    odd = labels_from({"__name__": "up", "q": '{__name__="x"'})
    assert read(f"{series_name(odd)} 1 2.000\n".encode()) == [(odd, 2000, 1.0)]
