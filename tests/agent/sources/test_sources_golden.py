"""Recorded trees of /proc and /sys against what node_exporter reads in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from forewarn_agent.settings import DiskSettings, NetworkSettings
from forewarn_agent.sources import Source, SourceContext
from forewarn_agent.sources.cpu import CpuSource
from forewarn_agent.sources.disk import DiskSource
from forewarn_agent.sources.limits import conntrack_source, entropy_source, filefd_source
from forewarn_agent.sources.load import load_source
from forewarn_agent.sources.memory import memory_source, vmstat_source
from forewarn_agent.sources.netclass import NetclassSource
from forewarn_agent.sources.network import NetworkSource
from forewarn_agent.sources.pressure import PressureSource
from forewarn_agent.sources.processes import ProcessesSource
from forewarn_agent.sources.sockets import netstat_source, sockstat_source
from forewarn_wire import Labels, labels_from

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(path.name for path in GOLDEN.iterdir())

Make = Callable[[SourceContext, Path], Source]
FAMILIES: dict[str, tuple[Make, str]] = {
    "cpu": (
        lambda context, case: CpuSource(context, f"{case}/proc"),
        "node_cpu_ node_intr_ node_context_ node_boot_ node_forks_ node_procs_",
    ),
    "loadavg": (lambda context, case: load_source(context, f"{case}/proc"), "node_load"),
    "meminfo": (lambda context, case: memory_source(context, f"{case}/proc"), "node_memory_"),
    "vmstat": (lambda context, case: vmstat_source(context, f"{case}/proc"), "node_vmstat_"),
    "diskstats": (
        lambda context, case: DiskSource(
            context, DiskSettings(), f"{case}/proc", udev=f"{case}/udev"
        ),
        "node_disk_",
    ),
    "network": (
        lambda context, case: NetworkSource(
            context, NetworkSettings(), f"{case}/proc", f"{case}/sys"
        ),
        "node_network_receive_ node_network_transmit_",
    ),
    "netclass": (lambda context, case: NetclassSource(context, f"{case}/sys"), "node_network_"),
    "filefd": (lambda context, case: filefd_source(context, f"{case}/proc"), "node_filefd_"),
    "conntrack": (lambda context, case: conntrack_source(context, f"{case}/proc"), "node_nf_"),
    "entropy": (lambda context, case: entropy_source(context, f"{case}/proc"), "node_entropy_"),
    "pressure": (lambda context, case: PressureSource(context, f"{case}/proc"), "node_pressure_"),
    "sockstat": (lambda context, case: sockstat_source(context, f"{case}/proc"), "node_sockstat_"),
    "netstat": (lambda context, case: netstat_source(context, f"{case}/proc"), "node_netstat_"),
    "processes": (
        lambda context, case: ProcessesSource(context, f"{case}/proc"),
        "node_processes_",
    ),
}
# Of the kernel's statistics in /sys; node_exporter has it from netlink, which no tree can hold.
OURS_ONLY = "node_network_receive_nohandler_total"


def expected_of(case: Path, prefixes: str) -> dict[tuple[str, Labels], float]:
    families = text_string_to_metric_families((case / "expected.prom").read_text())
    return {
        (sample.name, labels_from(sample.labels)): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(tuple(prefixes.split()))
    }


def is_traffic(name: str) -> bool:
    """Whether a node_network_ name is of `netdev`; `netclass` has the others."""
    return name.startswith(tuple(FAMILIES["network"][1].split())) and "queue" not in name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CASES)
def test_a_recorded_host_reads_as_node_exporter_reads_it(name: str, family: str) -> None:
    case = GOLDEN / name
    make, prefixes = FAMILIES[family]
    expected = expected_of(case, prefixes)
    if family in {"network", "netclass"}:
        wanted = family == "network"
        expected = {key: v for key, v in expected.items() if is_traffic(key[0]) == wanted}
    if family == "cpu":
        # It shows a CPU that is offline as one whose counters are all 0: a host 100 % busy.
        online = (case / "proc/stat").read_text()
        expected = {
            key: value
            for key, value in expected.items()
            if f"cpu{dict(key[1]).get('cpu', '0')} " in online
        }
    source = make(SourceContext("here"), case)
    if not expected:
        with pytest.raises(FileNotFoundError):
            source.start(None)  # type: ignore[arg-type]
        return
    source.start(None)  # type: ignore[arg-type]
    found = {}
    for series, value in source.collect(0):
        labels = {key: text for key, text in series.labels if key not in {"job", "instance"}}
        metric = labels.pop("__name__")
        if metric != OURS_ONLY and not (family == "processes" and value == 0):
            found[metric, labels_from(labels)] = value
    source.stop()
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-12)


def test_series_are_the_same_objects_in_the_same_order_round_after_round() -> None:
    for make, _ in FAMILIES.values():
        source = make(SourceContext("here"), GOLDEN / "this-kernel")
        source.start(None)  # type: ignore[arg-type]
        first = [id(series) for series, _ in source.collect(0)]
        second = [id(series) for series, _ in source.collect(10_000)]
        source.stop()
        assert first == second
