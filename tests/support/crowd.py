"""Many tasks, as an Alertmanager's sender would have them opened, and many hosts, of customers."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from forewarn_collector.ingest.agents import INTERVAL_METRIC
from forewarn_wire import labels_from
from forewarn_wire.remote_write import Series, encode_write_request
from support.servers import RunningCollector
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, snappy

_PROBLEMS = (
    ("DiskFillsUp", "high", "{mount} on {host} fills within three days"),
    (
        "CertificateExpires",
        "medium",
        "The certificate of {service}.{customer}.example expires in 9 days",
    ),
    ("ServiceDown", "critical", "{service} on {host} does not answer: connection refused"),
    ("HighLatency", "high", "{service} answers in 4.2 s at the 99th percentile, usual are 300 ms"),
    ("UpdatesPending", "low", "31 security updates wait on {host}"),
    ("BackupTooOld", "high", "The last good backup of {service} is 3 days old"),
    ("ClockSkew", "low", "The clock of {host} is 2.4 s off"),
    ("MemoryLeak", "medium", "{service} on {host} grows by 80 MiB an hour since Tuesday's release"),
)
_CUSTOMERS = ("acme", "borealis", "cygnus", "delfin")
_SERVICES = ("shop", "billing", "search", "mail", "warehouse")


def alerts(count: int) -> list[dict[str, Any]]:
    """Alerts that differ in all that one can filter by; the same for the same count."""
    found = []
    for number in range(count):
        name, severity, text = _PROBLEMS[number % len(_PROBLEMS)]
        labels = {
            "alertname": name,
            "severity": severity,
            "customer": _CUSTOMERS[number // 3 % len(_CUSTOMERS)],
            "service": _SERVICES[number // 2 % len(_SERVICES)],
            "instance": host_name(number)[0],
            "mount": ("/", "/var", "/srv")[number % 3],
        }
        summary = text.format(host=labels["instance"], **labels)
        # A few of the last minutes, most of the last days.
        age = (number % 9 + 1) * 47 if number % 3 == 0 else (number * 7919) % 400_000
        began = datetime.fromtimestamp(time.time() - age, UTC)
        found.append(
            {
                "labels": labels,
                "annotations": {"summary": summary},
                "startsAt": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    return found


def crowd(collector: RunningCollector, count: int) -> None:
    """Have so many tasks opened."""
    body = json.dumps(alerts(count)).encode()
    answer = collector.post("/api/v2/alerts", body, Content_Type="application/json")
    assert answer.status == 200, answer.body

    def all_there() -> bool:
        found = collector.get("/api/tasks", limit="1").json()["total"]
        return int(found) >= count

    wait_until(f"{count} tasks", all_there)


def host_name(number: int) -> tuple[str, str]:
    """A host and its customer, as the alerts of the same number have them."""
    service = _SERVICES[number // 2 % len(_SERVICES)]
    return f"{service}-{number // 8 + 1:03}", _CUSTOMERS[number // 3 % len(_CUSTOMERS)]


def fleet(collector: RunningCollector, count: int) -> None:
    """Have so many hosts report: first those that `crowd` has tasks of, then others."""
    named = dict.fromkeys(host_name(number) for number in range(count * 8))
    report(collector, list(named)[:count])


def report(collector: RunningCollector, hosts: Sequence[tuple[str, str]]) -> None:
    """Have agents report, each of a host and its customer, once and every minute from then on."""
    readings = [
        (
            Series(
                labels_from(
                    {
                        "__name__": INTERVAL_METRIC,
                        "instance": instance,
                        "job": "agent",
                        "customer": customer,
                    }
                )
            ),
            60.0,
        )
        for instance, customer in hosts
    ]
    body = snappy(encode_write_request(readings, int(time.time() * 1000)))
    answer = collector.post("/api/v1/write", body, **WRITE_HEADERS)
    assert answer.status == 204, answer.body
