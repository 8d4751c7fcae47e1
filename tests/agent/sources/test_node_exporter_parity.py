"""Every family beside Debian's node_exporter on this host: names, labels and values."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from forewarn_agent.settings import AgentConfig, FilesystemSettings
from forewarn_agent.sources import SOURCES, Source, SourceContext
from forewarn_wire import Labels, labels_from
from support.servers import answers, call, free_port, program, running
from support.waiting import wait_until

# What Debian's node_exporter 1.5 sends by default and we do not, and why.
LEFT_OUT = {
    r"(go|process|promhttp)_.*|node_exporter_build_info": "about the exporter's own process",
    r"node_scrape_collector_.*": "sent by the runner, for all sources",
    r"node_textfile_.*": "a later source; nothing to read by default",
    r"node_nf_conntrack_stat_.*": "counters per CPU that no shipped or public rule reads",
    r"node_softnet_.*": "counters per CPU that no shipped or public rule reads",
    r"node_schedstat_.*": "two series per CPU that no shipped or public rule reads",
    r"node_udp_queues": "read by listing every UDP socket, which costs more than all the rest",
    r"node_arp_entries": "read by listing every neighbour; no rule reads it",
    r"node_selinux_.*": "a setting, not a signal of health",
    r"node_systemd_.*": "a later source, by D-Bus",
    r"node_(hwmon|thermal_zone|cooling_device|cpu_(frequency|scaling|core_throttles|package_"
    r"throttles)|edac|rapl|power_supply|nvme|md|bonding|bcache|btrfs|dmi|infiniband"
    r"|fibrechannel|ipvs|nfs|nfsd|tape|xfs|zfs).*": "hardware and kernel modules: later sources",
}

# What node_exporter has no word for: ours beside it.
OURS_ONLY = {
    "node_reboot_required": "as Debian's apt collector for node_exporter's textfile has it"
}

# Gauges that move between two readings of a busy machine: how far theirs may be from ours.
MOVES = {
    r"node_load\d+": 1.0,
    r"node_procs_(running|blocked)": 50,
    r"node_processes_.*": 80,
    r"node_filefd_allocated": 2_000,
    r"node_sockstat_.*": 500_000,
    r"node_memory_(?!.*Total).*": 500e6,
    r"node_filesystem_(avail|free)_bytes": 500e6,
    r"node_filesystem_files_free": 20_000,
    r"node_netstat_Tcp_CurrEstab": 100,
    r"node_nf_conntrack_entries": 200,
    r"node_disk_io_now": 200,
    r"node_entropy_available_bits": 256,
    r"node_timex_.*": 20.0,
}


class Sample(NamedTuple):
    name: str
    labels: Labels


def ours(sources: Sequence[Source]) -> dict[Sample, float]:
    """One round, less the labels that the agent adds to everything."""
    found = {}
    for source in sources:
        for series, value in source.collect(time.time_ns() // 1_000_000):
            labels = dict(series.labels)
            assert labels.pop("job") == "node"
            assert labels.pop("instance") == "here"
            sample = Sample(labels.pop("__name__"), labels_from(labels))
            assert sample not in found, f"sent twice: {sample}"
            found[sample] = value
    return found


def theirs(url: str) -> dict[Sample, float]:
    answer = call(url)
    assert answer.status == 200
    return {
        Sample(sample.name, labels_from(sample.labels)): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if not any(re.fullmatch(left_out, sample.name) for left_out in LEFT_OUT)
    }


class Round(NamedTuple):
    before: dict[Sample, float]
    theirs: dict[Sample, float]
    after: dict[Sample, float]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    """Our round, theirs, and ours again, so that every counter of theirs lies between ours."""
    url = f"http://127.0.0.1:{free_port()}/metrics"
    config = AgentConfig()
    command = [
        program("prometheus-node-exporter"),
        f"--web.listen-address={url.split('/')[2]}",
        "--collector.processes",
        # Debian leaves out /mnt, /media and lo besides; we keep to node_exporter's own defaults.
        f"--collector.filesystem.mount-points-exclude={FilesystemSettings().ignore_mountpoints}",
        "--collector.netdev.device-exclude=",
    ]
    context = SourceContext("here")
    sources = []
    for kind in SOURCES:
        settings = kind.settings(config)
        if settings is not None and kind.name != "logs":
            source = kind.build(context, settings)
            source.start(None)  # type: ignore[arg-type]  # host families ask nothing of the loop
            sources.append(source)
    log = tmp_path_factory.mktemp("node_exporter") / "log"
    with running(command, Path(log)):
        wait_until("node_exporter answers", lambda: answers(url))
        # Processes and devices come and go while others work here: take a round that they spared.
        for _ in range(5):
            found = Round(ours(sources), theirs(url), ours(sources))
            if set(found.before) == set(found.after):
                break
        yield found
    for source in sources:
        source.stop()


@pytest.mark.server
def test_every_series_of_node_exporter_is_sent_under_the_same_name_and_labels(
    rounds: Round,
) -> None:
    assert sorted(set(rounds.theirs) - set(rounds.before)) == []


@pytest.mark.server
def test_nothing_is_sent_that_node_exporter_does_not_send(rounds: Round) -> None:
    extra = {
        sample
        for sample in set(rounds.before) - set(rounds.theirs)
        if sample.name not in OURS_ONLY
        # It leaves out a state that no process is in just then; we count it as 0.
        and not re.fullmatch(r"node_processes_(threads_)?state", sample.name)
    }
    assert sorted(extra) == []


@pytest.mark.server
def test_every_value_is_what_node_exporter_says_at_the_same_time(rounds: Round) -> None:
    wrong = []
    for sample in sorted(set(rounds.theirs) & set(rounds.before) & set(rounds.after)):
        low, high = sorted((rounds.before[sample], rounds.after[sample]))
        play = max(abs(high) * 1e-9, 1e-9)
        play += next((far for name, far in MOVES.items() if re.fullmatch(name, sample.name)), 0)
        if not low - play <= rounds.theirs[sample] <= high + play:
            wrong.append((sample, rounds.before[sample], rounds.theirs[sample], high))
    assert wrong == []


@pytest.mark.server
def test_the_families_asked_for_are_all_there(rounds: Round) -> None:
    names = {sample.name for sample in rounds.before}
    for name in (
        "node_cpu_seconds_total",
        "node_cpu_guest_seconds_total",
        "node_load15",
        "node_memory_MemAvailable_bytes",
        "node_memory_SwapFree_bytes",
        "node_vmstat_oom_kill",
        "node_filesystem_avail_bytes",
        "node_disk_io_time_seconds_total",
        "node_network_up",
        "node_network_receive_bytes_total",
        "node_filefd_allocated",
        "node_pressure_cpu_waiting_seconds_total",
        "node_boot_time_seconds",
        "node_uname_info",
        "node_os_info",
        "node_timex_sync_status",
        "node_processes_pids",
    ):
        assert name in names
