"""The same past read from a data directory, a Prometheus, a VictoriaMetrics and a collector."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from forewarn_collector.history import (
    DirectoryFeed,
    HistoryError,
    PrometheusFeed,
    Server,
    Window,
    selector_text,
)
from forewarn_collector.history import prometheus as prometheus_module
from forewarn_collector.history import window as window_module
from forewarn_collector.history.selecting import broadest
from forewarn_collector.store import Matcher, MatchOp, SeriesColumns, Store
from forewarn_wire import STALE_NAN, Labels, is_stale
from support.past import Past, as_batch, prometheus_of, victoria_of, write_directory, write_request
from support.servers import call, free_port
from support.stores import HOUR, matching, series
from support.stub_server import stub_server

START = 1_790_000_000_000
STEP = 15_000
HOSTS = 4
SAMPLES = 960  # four hours
END = START + SAMPLES * STEP


def value(host: int, sample: int) -> float:
    """A third of the values is zero, which remote read leaves out of its messages."""
    return float((host * sample) % 3)


def past() -> Past:
    found: dict[Labels, list[tuple[int, float]]] = {
        series("m", instance=f"h{host}"): [
            (START + sample * STEP + host, value(host, sample)) for sample in range(SAMPLES)
        ]
        for host in range(HOSTS)
    }
    found[series("unread")] = [(START, 1.0)]
    return found


def pairs(columns: SeriesColumns) -> dict[str, list[tuple[int, float]]]:
    return {
        dict(labels)["instance"]: list(
            zip(
                columns.times[columns.offsets[row] : columns.offsets[row + 1]].tolist(),
                columns.values[columns.offsets[row] : columns.offsets[row + 1]].tolist(),
                strict=True,
            )
        )
        for row, labels in enumerate(columns.labels)
    }


def wanted(start: int, end: int) -> dict[str, list[tuple[int, float]]]:
    return {
        dict(labels)["instance"]: [pair for pair in found if start <= pair[0] <= end]
        for labels, found in past().items()
        if "instance" in dict(labels)
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("directory")
    write_directory(folder, past(), END)
    return folder


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = "global: {external_labels: {cluster: north, instance: never}}\n"
    with prometheus_of(tmp_path_factory.mktemp("prometheus"), past(), config) as url:
        yield url


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with victoria_of(tmp_path_factory.mktemp("victoria"), past()) as url:
        yield url


@pytest.fixture(params=["directory", "remote read", "queries", "victoria"])
def window(request: pytest.FixtureRequest) -> Iterator[Window]:
    kind = request.param
    if kind == "directory":
        feed = DirectoryFeed(request.getfixturevalue("directory"))
    else:
        url = request.getfixturevalue("victoria" if kind == "victoria" else "prometheus")
        feed = PrometheusFeed(Server(url))
        assert feed.by_remote_read == (kind != "victoria")
        feed.by_remote_read = kind == "remote read"
    with closing(Window(feed, [matching("m")])) as found:
        yield found


def test_every_sample_is_read_once_whatever_the_slices(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_module, "_LONGEST", 7 * 60_000)
    monkeypatch.setattr(window_module, "AHEAD", 11 * 60_000)
    slab = 37 * 60_000
    for start in range(START - slab, END + slab, slab):
        found = window.select(matching("m"), start, start + slab - 1)
        if start >= START:
            assert pairs(found) == wanted(start, start + slab - 1)
        else:
            assert not len(found.times)


def test_the_borders_of_a_reading_belong_to_it(window: Window) -> None:
    first, last = START + 10 * STEP, START + 20 * STEP
    assert pairs(window.select(matching("m", instance="h0"), first, last)) == {
        "h0": wanted(first, last)["h0"]
    }
    assert len(wanted(first, last)["h0"]) == 11


def test_labels_stay_the_same_object_while_the_window_goes_on(window: Window) -> None:
    first = window.select(matching("m"), START, START + HOUR).labels
    assert window.select(matching("m"), START + HOUR, START + 2 * HOUR).labels is first
    assert window.latest(matching("m"), START + HOUR, START + 2 * HOUR).labels is first


def test_the_newest_sample_of_a_time_is_found_though_later_ones_are_read(window: Window) -> None:
    at = START + 100 * STEP + 1
    found = window.latest(matching("m"), at - HOUR, at)
    by_host = dict(zip((dict(each)["instance"] for each in found.labels), found.times, strict=True))
    # Host 2 has its samples two milliseconds after the step.
    assert by_host["h1"] == START + 100 * STEP + 1
    assert by_host["h2"] == START + 99 * STEP + 2


def test_named_series_are_read_and_unknown_ones_left_out(window: Window) -> None:
    window.select(matching("m"), START, END)
    wanted_series = [series("m", instance="h3"), series("m", instance="nobody")]
    assert pairs(window.read(wanted_series, START, END)) == {"h3": wanted(START, END)["h3"]}


def test_going_back_and_reading_something_else_is_right_too(window: Window) -> None:
    window.select(matching("m"), START + 2 * HOUR, START + 3 * HOUR)
    window.select(matching("m"), START + 3 * HOUR, START + 4 * HOUR)
    assert pairs(window.select(matching("m"), START, START + HOUR)) == wanted(START, START + HOUR)
    assert len(window.select(matching("unread"), START, END).times) == 1
    assert pairs(window.select(matching("m"), START, END)) == wanted(START, END)


def test_the_extent_is_that_of_the_samples(window: Window) -> None:
    last = END - STEP + HOSTS - 1
    assert window.extent(START - 24 * HOUR, END + 24 * HOUR) == (START, last)
    assert window.extent(START - 24 * HOUR, START - 1) is None
    assert window.extent(END + HOUR, END + 24 * HOUR) is None


def test_what_was_found_is_known_by_selector(window: Window) -> None:
    window.select(matching("m"), START, END)
    assert window.found(matching("m", instance="h1"))
    assert not window.found(matching("m", instance="h9"))
    assert not window.found(matching("nothing"))


def test_a_window_holds_only_what_is_asked_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_module, "AHEAD", HOUR // 4)
    with closing(Window(DirectoryFeed(directory), [matching("m")])) as window:
        window.select(matching("m"), START, START + HOUR)
        for start in range(START, END, HOUR // 4):
            window.select(matching("m"), start, start + HOUR // 4 - 1)
        # A quarter of an hour of four hosts, what is read ahead, and whole chunks.
        assert window.samples <= HOSTS * (window_module.AHEAD + HOUR) // STEP
        # Of "unread" nothing was taken in.
        assert not window.found(matching("unread"))


def test_stale_markers_come_from_a_directory(tmp_path: Path) -> None:
    ending = {
        series("m", instance="a"): [(START, 1.0), (START + STEP, STALE_NAN)],
    }
    write_directory(tmp_path / "data", ending, END)
    with closing(Window(DirectoryFeed(tmp_path / "data"), [])) as window:
        found = window.select(matching("m"), START, END)
        assert found.times.tolist() == [START, START + STEP]
        assert is_stale(float(found.values[1]))


def test_stale_markers_come_by_remote_read_and_from_victoria(tmp_path: Path) -> None:
    ending = {series("m", instance="a"): [(START, 1.0), (START + STEP, STALE_NAN)]}
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    servers = (prometheus_of(tmp_path / "p", past()), victoria_of(tmp_path / "v", past()))
    for server, manner in zip(servers, ("remote read", "queries"), strict=True):
        with server as url:
            # Newer than what the blocks hold.
            now = {
                labels: [(time + 24 * HOUR, value) for time, value in pairs]
                for labels, pairs in ending.items()
            }
            assert call(f"{url}/api/v1/write", write_request(now), headers).status == 204
            call(f"{url}/internal/force_flush")
            feed = PrometheusFeed(Server(url))
            assert feed.manner == manner
            with closing(Window(feed, [])) as window:
                start = START + 24 * HOUR
                found = window.select(matching("m", instance="a"), start, start + HOUR)
            assert found.times.tolist() == [start, start + STEP]
            assert is_stale(float(found.values[1]))


def test_a_directory_is_read_while_a_collector_writes_to_it(tmp_path: Path) -> None:
    store = Store(tmp_path, retention=400 * 24 * HOUR, clock=lambda: END)
    store.open()
    try:
        store.append(as_batch(past())).result()
        with closing(Window(DirectoryFeed(tmp_path), [matching("m")])) as window:
            later = {series("m", instance="late"): [(START, 5.0)]}
            store.append(as_batch(later)).result()
            # What came in after the opening does not count.
            assert pairs(window.select(matching("m"), START, END)) == wanted(START, END)
    finally:
        store.close()


def test_a_directory_that_may_not_be_written_to_is_read(tmp_path: Path) -> None:
    write_directory(tmp_path / "data", past(), END)
    files = [tmp_path / "data", *(tmp_path / "data").iterdir()]
    assert not list((tmp_path / "data").glob("store.db-*"))
    for file in files:
        file.chmod(0o500 if file.is_dir() else 0o400)
    try:
        with closing(Window(DirectoryFeed(tmp_path / "data"), [matching("m")])) as window:
            assert pairs(window.select(matching("m"), START, END)) == wanted(START, END)
    finally:
        (tmp_path / "data").chmod(0o700)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "there is no directory"),
        (lambda folder: folder.mkdir(), "is no data directory"),
        (lambda folder: _write(folder, b"not a database" * 100), "cannot read"),
        (lambda folder: _write(folder, b""), "is not a store of Forewarn's"),
    ],
)
def test_what_is_no_data_directory_is_refused_with_a_remedy(tmp_path, make, says) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "data")
    with pytest.raises(HistoryError, match=says) as error:
        DirectoryFeed(tmp_path / "data")
    assert "--data" in str(error.value) or ".recover" in str(error.value)


def _write(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "store.db").write_bytes(content)


@pytest.mark.parametrize("ref", [2**62, -5])
def test_series_with_a_number_that_was_never_given_are_damaged(tmp_path: Path, ref: int) -> None:
    write_directory(tmp_path, past(), END)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        for table in ("label_sets", "label_copies"):
            connection.execute(f"UPDATE {table} SET last = ?", (ref,))
        connection.commit()
    with closing(Window(DirectoryFeed(tmp_path), [matching("m")])) as window:
        assert not pairs(window.select(matching("m"), START, END))
        assert window.damaged == 1


@pytest.mark.parametrize(
    "damage",
    ["samples = 'x'", "samples = -1", "samples = 1 << 62", "earliest = 'x'", "columns = 5"],
)
def test_a_commit_with_columns_of_any_kind_is_damaged(tmp_path: Path, damage: str) -> None:
    write_directory(tmp_path, past(), END)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(f"UPDATE journal SET {damage}")
        connection.commit()
    with closing(Window(DirectoryFeed(tmp_path), [matching("m")])) as window:
        assert not len(window.select(matching("m"), START, END).times)
        assert window.damaged == 1


@pytest.mark.parametrize(
    "sql", ["DROP TABLE journal", "ALTER TABLE label_sets RENAME sets TO other"]
)
def test_tables_that_are_not_as_they_should_be_come_with_a_remedy(tmp_path: Path, sql: str) -> None:
    write_directory(tmp_path, past(), END)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(sql)
        connection.commit()
    with pytest.raises(HistoryError, match=r"not a store of Forewarn's|\.recover"):
        DirectoryFeed(tmp_path)


def test_damaged_commits_are_counted_and_the_others_read(tmp_path: Path) -> None:
    store = Store(tmp_path, retention=400 * 24 * HOUR, clock=lambda: END)
    store.open()
    store.append(as_batch({series("m", instance="a"): [(START, 1.0)]})).result()
    store.append(as_batch({series("m", instance="a"): [(START + STEP, 2.0)]})).result()
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("UPDATE journal SET checksum = checksum + 1 WHERE id = 1")
        connection.commit()
    with closing(Window(DirectoryFeed(tmp_path), [matching("m")])) as window:
        assert window.select(matching("m"), START, END).values.tolist() == [2.0]
        assert window.damaged == 1


def test_a_server_that_refuses_much_at_once_is_asked_for_less(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_module, "_FIRST", 8 * HOUR)
    folder = tmp_path_factory.mktemp("limited")
    limit = ["--query.max-samples=500", "--storage.remote.read-sample-limit=500"]
    with prometheus_of(folder, past(), flags=limit) as url:
        for remote in (True, False):
            feed = PrometheusFeed(Server(url))
            feed.by_remote_read = remote
            with closing(Window(feed, [matching("m")])) as window:
                assert pairs(window.select(matching("m"), START, END)) == wanted(START, END)


def test_a_server_that_gives_nothing_at_all_is_an_error_with_its_words(tmp_path: Path) -> None:
    answers = {"/api/v1/query": (422, b'{"status":"error","error":"too many samples"}')}
    with stub_server(answers, first={"/api/v1/query": (200, b"{}")}) as url:
        feed = PrometheusFeed(Server(url))
        assert not feed.by_remote_read
        with (
            closing(Window(feed, [matching("m")])) as window,
            pytest.raises(HistoryError, match=r"even a minute.*too many samples.*--rule"),
        ):
            window.select(matching("m"), START, END)


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "--token-file"), (302, "name that address by --url"), (404, "no Prometheus query API")],
)
def test_a_server_that_is_none_says_what_to_do(status: int, says: str) -> None:
    with (
        stub_server({"/api/v1/query": (status, b"who are you")}) as url,
        pytest.raises(HistoryError, match=says),
    ):
        PrometheusFeed(Server(url))


def test_a_server_that_refuses_all_but_queries_is_read_by_queries() -> None:
    answers = {
        "/api/v1/query": (200, b"{}"),
        "/api/v1/status/config": (403, b"no"),
        "/api/v1/status/active_queries": (401, b"no"),
    }
    with stub_server(answers) as url, closing(Server(url)) as server:
        assert PrometheusFeed(server).manner == "queries, without stale markers"


def test_a_server_that_does_not_run_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(HistoryError, match=f"nothing answers at {url}"):
        PrometheusFeed(Server(url))


@pytest.mark.parametrize(
    "url",
    ["localhost:9090", "ftp://x", "http://", "http://x:port", "http://[::1", "http://a..b/"],
)
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(HistoryError, match="address"):
        Server(url)


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(HistoryError, match="--password-file"):
        Server("http://me:secret@localhost:9090")


def test_selectors_that_others_contain_are_not_fetched() -> None:
    every, one = matching("m"), matching("m", instance="h1")
    assert broadest([one, every, one, matching("n", a="b")]) == [every, matching("n", a="b")]


def test_a_selector_is_written_as_in_promql() -> None:
    assert selector_text(matching("m")) == "m"
    assert selector_text(matching("m", a='"\\\n')) == 'm{a="\\"\\\\\\n"}'
    name = Matcher("__name__", MatchOp.REGEX, "a|b")
    assert selector_text([name, Matcher("x", MatchOp.NOT_EQUAL, "")]) == '{__name__=~"a|b",x!=""}'
    assert selector_text([Matcher("a.b", MatchOp.EQUAL, "c")]) == '{"a.b"="c"}'
