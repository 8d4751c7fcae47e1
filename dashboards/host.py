"""One host: what people look at first when it is slow, full or gone, and the rest folded away."""

from __future__ import annotations

from frame import CHANGES, Board, customers, hosts, task_spans
from host_more import AGENT, MORE
from panels import Column, graph, number, sheet, timeline
from style import (
    BITS_RATE,
    BUSY,
    BYTES,
    BYTES_RATE,
    FILES_USED,
    HOSTS,
    INODES_USED,
    MEMORY_USED,
    NUMBER,
    OPERATIONS,
    PACKETS,
    RATE,
    SECONDS,
    SHARE,
    SOME,
    STANDS,
    TASKS_BOARD,
    memory_of_host,
    rate_of_host,
    rate_of_nic,
    said,
)
from task_panels import tasks

_CPUS = f'count(node_cpu_seconds_total{{mode="idle",{HOSTS}}})'


_IDLE = rate_of_host("node_cpu_seconds_total", 'mode="idle",')
_BUSY = rate_of_host("node_cpu_seconds_total", 'mode!="idle",')
_CACHE = (
    f"{memory_of_host('Buffers')} + {memory_of_host('Cached')} + {memory_of_host('SReclaimable')}"
)

_NOW = (
    number(
        "State",
        "Whether its agent has reported within three of its intervals.",
        f'max(up{{job="node",{HOSTS}}})',
        ((None, "red"), (1, "green")),
        span=3,
        empty="unknown",
    ).mappings(said({"0": ("silent", "red"), "1": ("up", "green")})),
    number(
        "Open tasks",
        "Tasks of this host that nobody has resolved or closed yet.",
        f"count(forewarn_task_info{{{STANDS},{HOSTS}}}) or vector(0)",
        SOME,
        span=3,
        link=TASKS_BOARD,
    ),
    number(
        "CPU busy",
        "Share of all CPUs' time that was not idle, of late.",
        f"1 - avg({_IDLE})",
        BUSY,
        SHARE,
        span=3,
    ),
    number(
        "Load per CPU",
        "Programs that ran or waited for a CPU or a disk, on average of 5 minutes, for each CPU. "
        "Above 1 some wait.",
        f"max(node_load5{{{HOSTS}}}) / {_CPUS}",
        ((None, "green"), (1, "orange"), (3, "red")),
        span=3,
        decimals=2,
    ),
    number(
        "Memory used",
        "Share of memory that is not available to programs (MemAvailable).",
        f"max({MEMORY_USED})",
        BUSY,
        SHARE,
        span=3,
    ),
    number(
        "Fullest file system",
        "Share that is used, as unprivileged programs see it; temporary ones are left out.",
        f"max({FILES_USED})",
        BUSY,
        SHARE,
        span=3,
    ),
    number(
        "Runs for",
        "Since it was started.",
        f"time() - max(node_boot_time_seconds{{{HOSTS}}})",
        ((None, "orange"), (3600, "blue")),
        SECONDS,
        span=3,
    ),
    number(
        "Restart wanted",
        "1 where the system says that it must be restarted, after an upgrade as a rule.",
        f"max(node_reboot_required{{{HOSTS}}})",
        ((None, "green"), (1, "orange")),
        span=3,
        empty="unknown",
    ).mappings(said({"0": ("no", "green"), "1": ("yes", "orange")})),
    sheet(
        "What it is",
        "System, kernel, agent, CPUs and memory.",
        [
            f"max by (customer, instance, pretty_name) (node_os_info{{{HOSTS}}})",
            f"max by (customer, instance, release, machine) (node_uname_info{{{HOSTS}}})",
            f"max by (customer, instance, version) (forewarn_agent_info{{{HOSTS}}})",
            f'count by (customer, instance) (node_cpu_seconds_total{{mode="idle",{HOSTS}}})',
            f"max by (customer, instance) ({memory_of_host('MemTotal')})",
        ],
        [
            Column("instance", "Host"),
            Column("customer", "Customer"),
            Column("pretty_name", "System"),
            Column("release", "Kernel"),
            Column("machine", "Machine"),
            Column("version", "Agent"),
            Column("Value #D", "CPUs", unit=NUMBER),
            Column("Value #E", "Memory", unit=BYTES),
        ],
        span=24,
        height=3,
    ),
)

_TASKS = (
    tasks(
        "What is to be done",
        "What is to be done on this host; a click leads to the task's page.",
        f"{STANDS},{HOSTS}",
        height=6,
    ),
    timeline(
        "Alerts",
        "Rules that hold for this host: firing, or unknown while their data is missing.",
        (
            f'max by (alertname, alertstate) (ALERTS{{alertstate=~"firing|unknown",{HOSTS}}})',
            "{{alertname}} {{alertstate}}",
        ),
        said({"1": ("holds", "red")}),
        span=24,
        height=6,
    ),
)

_CPU = (
    graph(
        "CPU by what it does",
        "Share of all CPUs' time: user is programs, system the kernel, iowait idle while a disk is "
        "waited for, steal taken by the machine below a virtual one.",
        SHARE,
        (f"avg by (mode) ({_BUSY})", "{{mode}}"),
        stacked=True,
        most=1,
        colours={"iowait": "red", "user": "blue", "system": "orange", "steal": "dark-purple"},
    ),
    graph(
        "Load",
        "Programs that run or wait for a CPU or a disk, on average of 1, 5 and 15 minutes; above "
        "the number of CPUs some wait.",
        NUMBER,
        (f"node_load1{{{HOSTS}}}", "1 minute"),
        (f"node_load5{{{HOSTS}}}", "5 minutes"),
        (f"node_load15{{{HOSTS}}}", "15 minutes"),
        (_CPUS, "CPUs"),
    ).decimals(2),
    graph(
        "Pressure",
        "Share of time in which some program waited for a CPU, a disk or memory: what load means "
        "for programs.",
        SHARE,
        (rate_of_host("node_pressure_cpu_waiting_seconds_total"), "CPU"),
        (rate_of_host("node_pressure_io_waiting_seconds_total"), "disk"),
        (rate_of_host("node_pressure_memory_waiting_seconds_total"), "memory"),
        most=1,
    ),
    graph(
        "Memory",
        "Used by programs and the kernel; cache gives way when programs need more.",
        BYTES,
        (f"{memory_of_host('MemTotal')} - {memory_of_host('MemFree')} - ({_CACHE})", "used"),
        (_CACHE, "cache"),
        (memory_of_host("MemFree"), "free"),
        stacked=True,
        colours={"used": "blue", "cache": "green", "free": "text"},
    ),
    graph(
        "Swap",
        "What was moved from memory to the disk.",
        BYTES,
        (f"{memory_of_host('SwapTotal')} - {memory_of_host('SwapFree')}", "used"),
        (memory_of_host("SwapTotal"), "there is"),
    ),
    graph(
        "Moved in and out of memory",
        "Pages a second from and to swap space, and faults that had to wait for a disk. Much of it "
        "for long: memory is short.",
        RATE,
        (rate_of_host("node_vmstat_pswpin"), "swapped in"),
        (rate_of_host("node_vmstat_pswpout"), "swapped out"),
        (rate_of_host("node_vmstat_pgmajfault"), "major faults"),
    ),
)

_DISKS = (
    graph(
        "File systems",
        "Share that is used, as unprivileged programs see it; temporary ones are left out.",
        SHARE,
        (FILES_USED, "{{mountpoint}}"),
        most=1,
    ),
    graph(
        "Disk traffic",
        "Bytes read and written a second, by device.",
        BYTES_RATE,
        (rate_of_host("node_disk_read_bytes_total"), "{{device}} read"),
        (rate_of_host("node_disk_written_bytes_total"), "{{device}} written"),
    ),
    graph(
        "Disks busy",
        "Share of time in which a device had something to do. At 1 a single disk can do no more; "
        "arrays and solid state disks can.",
        SHARE,
        (rate_of_host("node_disk_io_time_seconds_total"), "{{device}}"),
        most=1,
    ),
    graph(
        "Disk operations",
        "Reads and writes a second, by device.",
        OPERATIONS,
        (rate_of_host("node_disk_reads_completed_total"), "{{device}} reads"),
        (rate_of_host("node_disk_writes_completed_total"), "{{device}} writes"),
    ),
    graph(
        "Time of a disk operation",
        "On average of those that ended, waiting included; gaps where there were none.",
        SECONDS,
        (
            f"{rate_of_host('node_disk_read_time_seconds_total')} "
            f"/ ({rate_of_host('node_disk_reads_completed_total')} > 0)",
            "{{device}} read",
        ),
        (
            f"{rate_of_host('node_disk_write_time_seconds_total')} "
            f"/ ({rate_of_host('node_disk_writes_completed_total')} > 0)",
            "{{device}} write",
        ),
    ),
    graph(
        "Inodes",
        "Share of a file system's inodes (files and folders) that is used; those without a limit "
        "are left out.",
        SHARE,
        (INODES_USED, "{{mountpoint}}"),
        most=1,
    ),
)

_NETWORK = (
    graph(
        "Network traffic",
        "Bits a second, by interface; the local and virtual ones are left out.",
        BITS_RATE,
        (f"8 * {rate_of_nic('receive_bytes')}", "{{device}} in"),
        (f"8 * {rate_of_nic('transmit_bytes')}", "{{device}} out"),
    ),
    graph(
        "Network errors and drops",
        "Packets a second that were broken or dropped; 0 is usual.",
        PACKETS,
        (rate_of_nic("receive_errs"), "{{device}} in, broken"),
        (rate_of_nic("transmit_errs"), "{{device}} out, broken"),
        (rate_of_nic("receive_drop"), "{{device}} in, dropped"),
        (rate_of_nic("transmit_drop"), "{{device}} out, dropped"),
    ),
    graph(
        "TCP connections",
        "Established ones, those that have just ended (time wait), and sockets in use at all.",
        NUMBER,
        (f"node_netstat_Tcp_CurrEstab{{{HOSTS}}}", "established"),
        (f"node_sockstat_TCP_tw{{{HOSTS}}}", "time wait"),
        (f"node_sockstat_TCP_inuse{{{HOSTS}}}", "in use"),
    ),
)

_SERVICES = (
    graph(
        "CPU of services",
        "CPUs that each process group takes; 1 is one CPU.",
        NUMBER,
        (
            "sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total"
            f"{{{HOSTS}}}[$__rate_interval]))",
            "{{groupname}}",
        ),
    ).decimals(2),
    graph(
        "Memory of services",
        "Resident memory of each process group; pages that several processes share count for each.",
        BYTES,
        (
            f'namedprocess_namegroup_memory_bytes{{memtype="resident",{HOSTS}}}',
            "{{groupname}}",
        ),
    ),
    timeline(
        "Checks",
        "Whether each check from this host was answered as it should be.",
        (f"probe_success{{{HOSTS}}}", "{{check}}"),
        said({"0": ("fails", "red"), "1": ("works", "green")}),
        span=8,
    ),
)

BOARD = Board(
    uid="forewarn-host",
    title="Forewarn: host",
    description="One host: tasks, CPU, memory, disks, network, its services and its agent.",
    variables=(customers(), hosts(one=True)),
    notes=(task_spans(HOSTS), *CHANGES),
    sections=(
        ("Now", _NOW),
        ("Tasks", _TASKS),
        ("CPU and memory", _CPU),
        ("Disks", _DISKS),
        ("Network", _NETWORK),
        ("Services", _SERVICES),
        ("More of the system…", MORE),
        ("The agent…", AGENT),
    ),
)
