"""A hundred rules as operations teams write them, by kind; one group for each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

CPU = "instance:node_cpu_used:ratio_rate5m"
TRAFFIC = "site:node_network_receive_bytes:sum_rate5m"
RECORDED = {
    CPU: '1 - avg by (instance, site) (rate(node_cpu_seconds_total{mode="idle"}[5m]))',
    TRAFFIC: "sum by (site) (rate(node_network_receive_bytes_total[5m]))",
    "instance:node_memory_used:ratio": (
        "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
    ),
    "service:http_requests:rate5m": (
        'sum by (service) (rate(http_request_duration_seconds_bucket{le="+Inf"}[5m]))'
    ),
}
"""What the recording rules record."""

FILESYSTEM = 'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay"}'
SIZE = 'node_filesystem_size_bytes{fstype!~"tmpfs|overlay"}'
NAMED = '* on (instance) group_left (nodename) node_uname_info{nodename=~".+"}'


@dataclass(frozen=True)
class BenchRule:
    """A rule; a recording rule where `record` is given."""

    kind: str
    expr: str
    for_: str = ""
    record: str = ""

    @property
    def inlined(self) -> str:
        """The expression with what recording rules record put in, to be asked at any time."""
        text = self.expr
        for name, expr in RECORDED.items():
            text = text.replace(name, f"({expr})")
        return text


def rules() -> list[BenchRule]:
    """The hundred rules, those of a kind together."""
    found = [BenchRule("recording", expr, record=name) for name, expr in RECORDED.items()]
    found += [BenchRule("on recorded", expr, for_) for expr, for_ in _on_recorded()]
    for kind, expressions in _KINDS.items():
        found += [BenchRule(kind, expr, for_) for expr, for_ in expressions()]
    assert len(found) == 100, len(found)
    return found


def as_yaml(rules: Sequence[BenchRule]) -> str:
    """The rule file, as Prometheus reads it."""
    groups: dict[str, list[dict[str, object]]] = {}
    for number, rule in enumerate(rules):
        written: dict[str, object] = {"expr": rule.expr}
        if rule.record:
            written |= {"record": rule.record}
        else:
            written |= {
                "alert": f"Rule{number:03}",
                "labels": {"severity": ("high", "low")[number % 2]},
                "annotations": {
                    "summary": f"Rule {number}: {{{{ $labels.instance }}}} is at {{{{ $value }}}}"
                },
            }
            if rule.for_:
                written["for"] = rule.for_
        groups.setdefault(rule.kind, []).append(written)
    document = {"groups": [{"name": name, "rules": group} for name, group in groups.items()]}
    return yaml.safe_dump(document, sort_keys=False)


_Rules = Iterator[tuple[str, str]]


def _levels() -> _Rules:
    yield "up == 0", "1m"
    yield 'up{job="node"} < 1', "5m"
    for site in range(2):
        yield f'up{{site="site-{site}"}} == 0', ""
    for bound, for_ in ((3.2, ""), (3.6, "1m"), (3.9, "5m"), (5, "")):
        yield f"node_load1 > {bound}", for_
    for bound, for_ in ((3, "5m"), (3.8, "10m")):
        yield f"node_load5 > {bound}", for_
    for gib, for_ in ((0.5, "1m"), (0.25, "")):
        yield f"node_memory_MemAvailable_bytes < {gib} * 1024 ^ 3", for_
    for gib, for_ in ((3, "5m"), (1, "")):
        yield f"{FILESYSTEM} < {gib} * 1024 ^ 3", for_
    yield "time() - node_boot_time_seconds < 600", ""
    yield "(time() - node_boot_time_seconds) / 86400 > 57", ""
    yield "changes(node_boot_time_seconds[15m]) > 0", ""


def _ratios() -> _Rules:
    for bound, for_ in ((0.06, "5m"), (0.04, ""), (0.03, "1m")):
        yield f"node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < {bound}", for_
    for bound, for_ in ((0.06, "5m"), (0.04, "")):
        yield f"{FILESYSTEM} / {SIZE} < {bound}", for_
    yield f"100 - {FILESYSTEM} * 100 / {SIZE} > 95", "1m"
    yield f"(node_load1 > 3.5) {NAMED}", ""
    yield f"(node_load5 / node_load1 > 3) {NAMED}", "5m"
    yield f"(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > 0.95) {NAMED}", ""
    yield f"(up == 0) {NAMED}", "1m"
    yield "node_load1 / on (instance) node_load5 > 4", "1m"
    yield (
        (
            "node_load1 / on (instance) group_left ()"
            ' count by (instance) (node_cpu_seconds_total{mode="idle"}) > 3.7'
        ),
        "",
    )
    yield f"({SIZE} - {FILESYSTEM}) / {SIZE} > 0.96", ""
    yield (
        (
            "node_memory_MemAvailable_bytes / ignoring (device, fstype, mountpoint)"
            " node_filesystem_size_bytes > 0.9"
        ),
        "",
    )


def _rates() -> _Rules:
    for metric, bounds in (
        ("node_network_receive_bytes_total", (1e6, 2e6)),
        ("node_network_transmit_bytes_total", (1e6, 2e6)),
    ):
        for bound in bounds:
            yield f'rate({metric}{{device!="lo"}}[5m]) > {bound:.0f}', "5m"
    yield "rate(node_network_receive_bytes_total[2m]) / 1e6 > 3", ""
    yield 'rate(node_cpu_seconds_total{mode="user"}[5m]) > 0.6', ""
    yield 'rate(node_cpu_seconds_total{mode="system"}[5m]) > 0.27', ""
    yield 'rate(node_cpu_seconds_total{mode="idle"}[5m]) < 0.05', "5m"
    yield 'rate(node_cpu_seconds_total{mode!="idle"}[5m]) > 0.64', ""
    yield "irate(node_network_receive_bytes_total[1m]) > 4e6", ""
    for bound in (0.42, 0.47):
        yield f"rate(node_disk_io_time_seconds_total[5m]) > {bound}", "5m"
    yield (
        (
            "rate(node_network_receive_bytes_total[5m])"
            " / rate(node_network_transmit_bytes_total[5m]) > 3"
        ),
        "",
    )


def _increases() -> _Rules:
    yield "increase(node_network_receive_bytes_total[5m]) > 1e9", ""
    yield "increase(node_disk_io_time_seconds_total[5m]) > 140", ""
    yield 'increase(node_cpu_seconds_total{mode="system"}[5m]) > 85', ""
    yield 'increase(http_request_duration_seconds_bucket{le="+Inf"}[5m]) == 0', "5m"
    yield "resets(node_disk_io_time_seconds_total[30m]) > 0", ""
    yield "increase(node_network_transmit_bytes_total[1h]) > 2e10", ""


def _averages() -> _Rules:
    for bound, for_ in ((3.3, ""), (3.7, "5m")):
        yield f"avg_over_time(node_load1[5m]) > {bound}", for_
    yield "avg_over_time(node_load5[10m]) > 3.5", ""
    for bound in (0.5, 0.35):
        yield f"avg_over_time(up[5m]) < {bound}", ""
    for gib in (0.5, 1):
        yield f"avg_over_time(node_memory_MemAvailable_bytes[5m]) < {gib} * 1024 ^ 3", ""
    yield (
        (
            "avg_over_time(node_memory_MemAvailable_bytes[5m])"
            " / avg_over_time(node_memory_MemTotal_bytes[5m]) < 0.05"
        ),
        "5m",
    )
    yield "count_over_time(up[5m]) < 25", ""


def _extremes() -> _Rules:
    yield "max_over_time(node_load1[5m]) < 0.02", ""
    yield "max_over_time(node_load1[1h]) > 4.5", ""
    yield "min_over_time(node_memory_MemAvailable_bytes[15m]) / 1024 ^ 3 < 0.3", ""
    yield "min_over_time(up[1h]) == 1 and max_over_time(node_load5[1h]) > 4", ""
    yield "max_over_time(node_filesystem_avail_bytes[1h]) < 2 * 1024 ^ 3", ""


def _predictions() -> _Rules:
    for hours in (4, 24):
        yield f"predict_linear({FILESYSTEM}[1h], {hours} * 3600) < 0", "5m"
    yield (
        (f"predict_linear({FILESYSTEM}[1h], 3 * 86400) < 0 and {FILESYSTEM} / {SIZE} < 0.4"),
        "30m",
    )
    yield "predict_linear(node_memory_MemAvailable_bytes[1h], 600) < 0", ""
    yield "predict_linear(node_load5[1h], 3600) > 6", ""
    yield "deriv(node_filesystem_avail_bytes[1h]) * 86400 < -50 * 1024 ^ 3", ""


def _aggregations() -> _Rules:
    yield "sum by (site) (rate(node_network_receive_bytes_total[5m])) > 1e10", ""
    yield "sum by (site) (up == bool 0) > 0", ""
    yield "sum by (site) (up) / count by (site) (up) < 0.993", ""
    yield 'avg by (site) (rate(node_cpu_seconds_total{mode="user"}[5m])) > 0.9', ""
    yield 'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) > 0.93', ""
    yield "sum without (mode) (rate(node_cpu_seconds_total[5m])) > 1.1", ""
    yield "count by (site) (node_load1 > 3) > 1000", ""
    yield "quantile by (site) (0.99, node_load1) > 4", ""
    yield "topk by (site) (1, avg_over_time(node_load5[5m])) > 4.1", ""


def _absences() -> _Rules:
    yield 'absent(up{job="node"})', ""
    yield 'absent(up{job="node", instance="host-00000:9100"})', ""
    yield 'absent(up{job="node", site="site-99"})', "5m"
    yield 'absent_over_time(node_load1{site="site-1"}[5m])', ""


def _quantiles() -> _Rules:
    for share, bound in ((0.9, 2), (0.99, 4.9)):
        yield (
            (
                f"histogram_quantile({share}, sum by (le, service)"
                f" (rate(http_request_duration_seconds_bucket[5m]))) > {bound}"
            ),
            "",
        )
    yield (
        (
            "histogram_quantile(0.9, sum by (le, instance)"
            " (rate(http_request_duration_seconds_bucket[5m]))) > 2"
        ),
        "5m",
    )
    yield (
        (
            'sum by (service) (rate(http_request_duration_seconds_bucket{le="1"}[5m]))'
            ' / sum by (service) (rate(http_request_duration_seconds_bucket{le="+Inf"}[5m])) < 0.9'
        ),
        "",
    )


def _combinations() -> _Rules:
    yield "node_load1 > 3.3 and node_load5 > 3.3", "1m"
    yield "node_load1 > 3.3 unless on (instance) node_load5 > 3.3", ""
    yield "up == 1 unless on (instance) node_uname_info", ""
    yield "node_load1 offset 10m unless on (instance, job) up", ""
    yield f"{FILESYSTEM} / {SIZE} < 0.05 and on (instance) up == 1", ""


def _on_recorded() -> _Rules:
    for bound, for_ in ((0.9, ""), (0.95, "5m")):
        yield f"{CPU} > {bound}", for_
    yield f"{TRAFFIC} > 1e10", ""
    yield "instance:node_memory_used:ratio > 0.97", ""


_KINDS = {
    "levels": _levels,
    "ratios and joins": _ratios,
    "rate": _rates,
    "increase": _increases,
    "avg_over_time": _averages,
    "max_over_time": _extremes,
    "predict_linear": _predictions,
    "sum by": _aggregations,
    "absent": _absences,
    "histogram_quantile": _quantiles,
    "and, unless": _combinations,
}
