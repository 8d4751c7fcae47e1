"""Limits of customers and of what waits, at a running collector."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

from forewarn_wire import Event, Severity, labels_from
from support.prompb import Request2
from support.servers import Answer, RunningCollector, call, running_collector
from support.writing import WRITE_2_HEADERS, WRITE_HEADERS, logs_body, snappy, write_body

TOKEN = "acme-token-of-enough-letters"


def limited(folder: Path, *, series: int) -> AbstractContextManager[RunningCollector]:
    """A collector that takes so many series and a sample a second of the customer acme."""
    (folder / "acme.token").write_text(TOKEN)
    (folder / "collector.yml").write_text(
        f"tokens: [{{name: acme, token_file: '{folder}/acme.token', customer: acme}}]\n"
        f"limits:\n  customers: [{{customer: acme, series: {series}, samples: 1}}]\n"
    )
    return running_collector(folder, "--config", str(folder / "collector.yml"))


def test_a_customers_limits_and_what_is_said_of_them(tmp_path: Path) -> None:
    with limited(tmp_path, series=2) as collector:
        at = int(time.time() * 1000)
        assert _write(collector, {"a": 1.0, "b": 2.0}, at - 2).status == 204
        answer = _write(collector, {"a": 3.0, "c": 1.0, "d": 1.0}, at - 1)
        assert answer.status == 400
        assert b"2 refused, the rest is kept" in answer.body
        assert b"c{customer" in answer.body
        assert b"2 series of customer acme are active, which is the limit" in answer.body
        got = collector.query('{customer="acme"}', at / 1000)
        assert {row["metric"]["__name__"]: row["value"][1] for row in got} == {"a": "3", "b": "2"}
        # A minute's allowance is 60 samples; the request that uses it up is taken as a whole.
        many = {f"m{k}": 1.0 for k in range(70)}
        assert _write(collector, many, at).status == 400
        late = _write(collector, {"a": 4.0}, at)
        assert late.status == 429
        assert int(late.headers["Retry-After"]) >= 10
        assert b"customer acme sends more samples a second" in late.body
        metrics = collector.get("/metrics").body.decode()
        assert 'forewarn_ingest_limited_total{customer="acme",limit="rate"} 1.0' in metrics
        assert 'forewarn_ingest_limited_total{customer="acme",limit="series"} 2.0' in metrics
        assert 'forewarn_ingest_rejected_total{reason="series_limit"} 72.0' in metrics
        assert "forewarn_ingest_waiting_bytes 0.0" in metrics
        # Others are not concerned.
        own = collector.post("/api/v1/write", write_body(many, at), **WRITE_HEADERS)
        assert own.status == 204


def test_events_of_a_customer_are_limited_too(tmp_path: Path) -> None:
    with limited(tmp_path, series=3) as collector:

        def send(*names: str) -> Answer:
            at = int(time.time() * 1000)
            events = [
                Event(at, "log", Severity.ERROR, labels_from({"instance": name}), "it broke", name)
                for name in names
            ]
            headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {TOKEN}"}
            return call(f"{collector.url}/v1/logs", logs_body(*events), headers, "POST")

        # All of them are taken and counted, those over the limit of series together.
        assert send(*(f"host-{k}" for k in range(40))).status == 200
        got = collector.query("forewarn_events_total")
        assert sorted(float(row["value"][1]) for row in got) == [1, 1, 1, 37]
        assert len(collector.get("/api/events", limit="100").json()["data"]["events"]) == 40
        # A minute's allowance is 60; the request that uses it up is taken as a whole.
        assert send(*(f"more-{k}" for k in range(40))).status == 200
        late = send("one more")
        assert late.status == 429
        assert int(late.headers["Retry-After"]) >= 10
        assert b"customer acme sends more samples a second" in late.body
        metrics = collector.get("/metrics").body.decode()
        assert 'forewarn_ingest_limited_total{customer="acme",limit="rate"} 1.0' in metrics
        assert 'forewarn_ingest_limited_total{customer="acme",limit="series"} 2.0' in metrics


def test_exemplars_are_dropped_and_counted(collector: RunningCollector) -> None:
    request = Request2(symbols=["", "__name__", "with_exemplar"])
    series = request.timeseries.add(labels_refs=[1, 2])
    series.samples.add(value=1.0, timestamp=int(time.time() * 1000))
    series.exemplars.add(value=1.0)
    before = _exemplars(collector)
    answer = collector.post("/api/v1/write", snappy(request.SerializeToString()), **WRITE_2_HEADERS)
    assert answer.status == 204
    assert answer.headers["X-Prometheus-Remote-Write-Exemplars-Written"] == "0"
    assert _exemplars(collector) == before + 1


def _exemplars(collector: RunningCollector) -> float:
    name = "forewarn_ingest_exemplars_dropped_total "
    lines = collector.get("/metrics").body.decode().splitlines()
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def _write(collector: RunningCollector, values: dict[str, float], at: int) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
    headers["Authorization"] = f"Bearer {TOKEN}"
    return call(f"{collector.url}/api/v1/write", write_body(values, at), headers, "POST")
