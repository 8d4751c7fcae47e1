"""What the page of a host shows of its signals: the main ones as plots, its facts, its software.

The names are those of node_exporter, process-exporter and blackbox_exporter, so that a host that
these watch is shown as well as one with our agent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from forewarn_collector.plots import Mark
from forewarn_collector.promql import Deadline, compile_query
from forewarn_collector.store import SeriesSource
from forewarn_collector.web.shown import span as span_text
from forewarn_collector.web.signal_plots import REFUSED, SMALL, Span, drawn, evaluated, plot_of
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class _Panel:
    """A plot: `expr` with `%h` for the host's matchers and `%w` for the range of rates.

    `legend` are the labels that name a line, or its whole name where there is but one.
    """

    title: str
    expr: str
    legend: tuple[str, ...] | str

    def name(self, labels: Labels) -> str:
        """What the line of these labels is called."""
        if isinstance(self.legend, str):
            return self.legend
        named = dict(labels)
        found = (named[name] for name in self.legend if named.get(name))
        return next(found, self.title)


_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|fuse.*"'
_PANELS = (
    _Panel(
        "CPU, % of all cores",
        'sum by (mode) (rate(node_cpu_seconds_total{%h,mode!="idle"}[%w])) * 100'
        " / scalar(count(count by (cpu) (node_cpu_seconds_total{%h})))",
        ("mode",),
    ),
    _Panel("Load, 1 minute", "node_load1{%h}", "load"),
    _Panel(
        "Memory in use, %",
        "100 * (1 - node_memory_MemAvailable_bytes{%h} / node_memory_MemTotal_bytes{%h})",
        "memory",
    ),
    _Panel(
        "Filesystems in use, %",
        f"100 * (1 - max by (mountpoint) (node_filesystem_avail_bytes{{%h,{_DISKS}}})"
        f" / max by (mountpoint) (node_filesystem_size_bytes{{%h,{_DISKS}}}))",
        ("mountpoint",),
    ),
    _Panel(
        "Disks busy, %",
        '100 * rate(node_disk_io_time_seconds_total{%h,device!~"(loop|ram|fd).*"}[%w])',
        ("device",),
    ),
    _Panel(
        "Network, bytes per second",
        'label_replace(sum(rate(node_network_receive_bytes_total{%h,device!="lo"}[%w])), '
        '"way", "received", "", "") or '
        'label_replace(sum(rate(node_network_transmit_bytes_total{%h,device!="lo"}[%w])), '
        '"way", "sent", "", "")',
        ("way",),
    ),
    _Panel(
        "Waiting for CPU, memory or disks, % of the time",
        " or ".join(
            f"label_replace(100 * rate(node_pressure_{name}_waiting_seconds_total{{%h}}[%w]), "
            f'"for", "{said}", "", "")'
            for name, said in (("cpu", "CPU"), ("memory", "memory"), ("io", "disks"))
        ),
        ("for",),
    ),
    _Panel(
        "Processes, CPU cores in use",
        "sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{%h}[%w]))",
        ("groupname",),
    ),
    _Panel(
        "Checks, seconds until they answer",
        "probe_duration_seconds{%h}",
        ("check", "target"),
    ),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel as it is shown: its plot, or why there is none."""

    title: str
    plot: Markup
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """Software of the host: what it is, whether it is well, and what is known of it."""

    kind: str
    name: str
    well: bool
    said: str


def host_matchers(instance: str, customer: str) -> str:
    """What finds a host's series, as PromQL writes it."""
    found = f"instance={json.dumps(instance, ensure_ascii=False)}"
    # A host without a customer must not take the series of one of the same name that has one.
    return f"{found},customer={json.dumps(customer, ensure_ascii=False)}"


def panels(
    source: SeriesSource, host: str, span: Span, marks: Sequence[Mark], until: Deadline
) -> list[Shown]:
    """The plots of which there is any value. `host` is as `host_matchers` writes it."""
    found = []
    for number, panel in enumerate(_PANELS):
        text = panel.expr.replace("%h", host).replace("%w", span.window)
        try:
            result = evaluated(compile_query(text), source, span, until)
        except REFUSED as error:
            found.append(Shown(panel.title, Markup(), str(error)))
            continue
        plot = plot_of(
            result,
            panel.title,
            span,
            name_of=panel.name,
            marks=marks,
            width=SMALL,
            from_zero=True,
        )
        if plot is not None:
            found.append(Shown(panel.title, drawn(plot, f"signal-{number}")))
    return found


def facts(source: SeriesSource, host: str, now: int, until: Deadline) -> list[tuple[str, str]]:
    """What the host is, in pairs; without what is not known."""
    info = {
        name: _labels(source, f"{name}{{{host}}}", now, until)
        for name in ("node_os_info", "node_uname_info", "forewarn_agent_info")
    }
    values = {
        name: _value(source, expr.replace("%h", host), now, until)
        for name, expr in (
            ("boot", "max(node_boot_time_seconds{%h})"),
            ("agent", "max(forewarn_agent_start_time_seconds{%h})"),
            ("cores", "count(count by (cpu) (node_cpu_seconds_total{%h}))"),
            ("memory", "max(node_memory_MemTotal_bytes{%h})"),
            ("upgrades", "sum(apt_upgrades_pending{%h})"),
            ("reboot", "max(node_reboot_required{%h})"),
        )
    }
    uname = info["node_uname_info"]
    pairs = [
        ("System", info["node_os_info"].get("pretty_name", "")),
        ("Kernel", " ".join(uname.get(name, "") for name in ("release", "machine")).strip()),
        ("Up for", _age(values["boot"], now)),
        ("Cores", "" if values["cores"] is None else f"{values['cores']:g}"),
        ("Memory", "" if values["memory"] is None else f"{values['memory'] / 2**30:.1f} GiB"),
        ("Upgrades pending", f"{values['upgrades']:g}" if values["upgrades"] else ""),
        ("Reboot", "is required" if values["reboot"] else ""),
        ("Agent", info["forewarn_agent_info"].get("version", "")),
        ("Agent runs for", _age(values["agent"], now)),
    ]
    return [(name, value) for name, value in pairs if value]


def services(source: SeriesSource, host: str, now: int, until: Deadline) -> list[Service]:
    """Units that failed, groups of processes and checks; what is not well comes first."""
    found = [
        Service("unit", dict(labels).get("name", ""), False, "failed")
        for labels, _ in _vector(
            source, f'node_systemd_unit_state{{{host},state="failed"}} == 1', now, until
        )
    ]
    groups = f"namedprocess_namegroup_num_procs{{{host}}}"
    for labels, value in _vector(source, groups, now, until):
        name = dict(labels).get("groupname", "")
        said = f"{value:g} {'process' if value == 1 else 'processes'}"
        found.append(Service("processes", name, value > 0, said if value else "not running"))
    took = {
        dict(labels).get("target", ""): value
        for labels, value in _vector(source, f"probe_duration_seconds{{{host}}}", now, until)
    }
    for labels, value in _vector(source, f"probe_success{{{host}}}", now, until):
        named = dict(labels)
        name = named.get("check") or named.get("target") or named.get("job", "")
        seconds = took.get(named.get("target", ""))
        said = "fails" if value == 0 else "answers"
        if value and seconds is not None:
            said += f" in {seconds * 1000:.0f} ms"
        found.append(Service("check", name, value != 0, said))
    return sorted(found, key=lambda each: (each.well, each.kind, each.name))


def _vector(
    source: SeriesSource, text: str, now: int, until: Deadline
) -> list[tuple[Labels, float]]:
    try:
        return compile_query(text).instant(source, now, deadline=until).vector()
    except REFUSED:
        return []


def _value(source: SeriesSource, text: str, now: int, until: Deadline) -> float | None:
    return next((value for _, value in _vector(source, text, now, until)), None)


def _labels(source: SeriesSource, text: str, now: int, until: Deadline) -> Mapping[str, str]:
    return next((dict(labels) for labels, _ in _vector(source, text, now, until)), {})


def _age(since: float | None, now: int) -> str:
    return "" if not since else span_text(max(0, now - round(since * 1000)))
