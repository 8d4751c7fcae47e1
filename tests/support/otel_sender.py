"""A program that measures with the OpenTelemetry SDK and sends by OTLP, set up by environment only.

    python otel_sender.py METRICS_KIND      # cumulative | delta | exponential
    python otel_sender.py logs

It takes ten measurements, exports, takes ten more, exports, and ends as the SDK ends.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource


def measure() -> None:
    """Every kind of instrument."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[reader], resource=Resource.create())
    meter = provider.get_meter("shop.lib", "1.0")
    orders = meter.create_counter("shop.orders", unit="{order}", description="Orders taken.")
    open_orders = meter.create_up_down_counter("shop.orders.open")
    sizes = meter.create_histogram("shop.order.size", unit="By", description="Of one order.")
    heat = meter.create_gauge("room.heat", unit="Cel")
    taken = 0

    def read(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(10 * taken, {"disk": "sda"})]

    def share(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(0.25)]

    meter.create_observable_counter("disk.read", [read], unit="By")
    meter.create_observable_up_down_counter("disk.queue", [read])
    meter.create_observable_gauge("disk.used", [share], unit="1")
    for _ in range(2):
        for number in range(10):
            taken += 1
            orders.add(2, {"shop.town": "Bern", "paid": True})
            open_orders.add(1)
            sizes.record(100.0 * number)
        heat.set(20.5)
        provider.force_flush()
    provider.shutdown()


def log() -> None:
    """Log records as the SDK's bridge from `logging` makes them."""
    provider = LoggerProvider(resource=Resource.create())
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    try:
        from opentelemetry.instrumentation.logging.handler import LoggingHandler
    except ImportError:
        from opentelemetry.sdk._logs import LoggingHandler
    shop = logging.getLogger("shop")
    shop.addHandler(LoggingHandler(logger_provider=provider))
    shop.error("payment of %s refused", "order 7", extra={"order": 7})
    shop.warning("slow")
    provider.shutdown()


if __name__ == "__main__":
    if sys.argv[1] == "logs":
        log()
    else:
        measure()
