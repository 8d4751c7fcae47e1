"""What the dashboard of a host has folded away: more of the system, and its agent."""

from __future__ import annotations

from panels import graph, timeline
from style import (
    BYTES,
    HOSTS,
    NUMBER,
    PACKETS,
    RATE,
    SECONDS,
    SHARE,
    memory_of_host,
    rate_of_host,
    rate_of_nic,
    said,
)

MORE = (
    graph(
        "TCP trouble",
        "Segments sent again (a lossy or busy network), connections refused since a program did "
        "not take them in time, and time-outs, a second.",
        RATE,
        (rate_of_host("node_netstat_Tcp_RetransSegs"), "sent again"),
        (rate_of_host("node_netstat_TcpExt_ListenOverflows"), "not taken in time"),
        (rate_of_host("node_netstat_TcpExt_TCPTimeouts"), "time-outs"),
    ),
    graph(
        "Packets",
        "Packets a second, by interface.",
        PACKETS,
        (rate_of_nic("receive_packets"), "{{device}} in"),
        (rate_of_nic("transmit_packets"), "{{device}} out"),
    ),
    graph(
        "UDP trouble",
        "Datagrams a second that came broken, for nobody, or when a buffer was full.",
        RATE,
        (rate_of_host("node_netstat_Udp_InErrors"), "errors"),
        (rate_of_host("node_netstat_Udp_NoPorts"), "for nobody"),
        (rate_of_host("node_netstat_Udp_RcvbufErrors"), "buffer full"),
    ),
    graph(
        "Processes",
        "Threads that run, that wait for a disk (blocked), and all processes.",
        NUMBER,
        (f"node_procs_running{{{HOSTS}}}", "running"),
        (f"node_procs_blocked{{{HOSTS}}}", "blocked"),
        (f"node_processes_pids{{{HOSTS}}}", "processes"),
    ),
    graph(
        "Limits of the system",
        "How much is used of what the kernel admits: open files, processes, threads, tracked "
        "connections.",
        SHARE,
        (f"node_filefd_allocated{{{HOSTS}}} / node_filefd_maximum{{{HOSTS}}}", "open files"),
        (
            f"node_processes_pids{{{HOSTS}}} / node_processes_max_processes{{{HOSTS}}}",
            "processes",
        ),
        (
            f"node_processes_threads{{{HOSTS}}} / node_processes_max_threads{{{HOSTS}}}",
            "threads",
        ),
        (
            f"node_nf_conntrack_entries{{{HOSTS}}} "
            f"/ (node_nf_conntrack_entries_limit{{{HOSTS}}} > 0)",
            "connections",
        ),
        most=1,
    ),
    graph(
        "Context switches and interrupts",
        "A second, of all CPUs; new processes, too.",
        RATE,
        (rate_of_host("node_context_switches_total"), "context switches"),
        (rate_of_host("node_intr_total"), "interrupts"),
        (rate_of_host("node_forks_total"), "new processes"),
    ),
    graph(
        "Programs killed for want of memory",
        "By the kernel (OOM killer), a second.",
        RATE,
        (rate_of_host("node_vmstat_oom_kill"), "killed"),
    ),
    graph(
        "Clock",
        "By how much the kernel's clock is off, as its time service measures it, and the agent's "
        "clock less the collector's.",
        SECONDS,
        (f"node_timex_offset_seconds{{{HOSTS}}}", "to the time service"),
        (f"forewarn_agent_clock_offset_seconds{{{HOSTS}}}", "to the collector"),
        below_zero=True,
    ),
    graph(
        "Where memory is",
        "Of programs, of the kernel's tables, shared, and written but not yet on the disk (dirty).",
        BYTES,
        (memory_of_host("AnonPages"), "programs"),
        (memory_of_host("Slab"), "kernel's tables"),
        (memory_of_host("Shmem"), "shared"),
        (memory_of_host("Dirty"), "dirty"),
        (memory_of_host("PageTables"), "page tables"),
    ),
)

AGENT = (
    graph(
        "The agent's own use",
        "CPUs that the agent takes.",
        SHARE,
        (rate_of_host("process_cpu_seconds_total", 'job="node",'), "CPU"),
    ),
    graph(
        "The agent's memory and spool",
        "Memory that the agent takes, and what waits on disk for the collector.",
        BYTES,
        (f'process_resident_memory_bytes{{job="node",{HOSTS}}}', "memory"),
        (f"forewarn_agent_spool_bytes{{{HOSTS}}}", "spool"),
    ),
    timeline(
        "Sources",
        "Whether each source of the agent could read what it watches.",
        (f"node_scrape_collector_success{{{HOSTS}}}", "{{collector}}"),
        said({"0": ("fails", "red"), "1": ("works", "green")}),
        span=8,
    ),
    graph(
        "Requests of the agent",
        "Answered, and to be made again, a second.",
        RATE,
        (rate_of_host("forewarn_agent_requests_total"), "answered"),
        (rate_of_host("forewarn_agent_request_failures_total"), "failed"),
    ),
    graph(
        "Lost signals",
        "Samples and events that were dropped from a full spool, or that the collector called "
        "invalid, a second; 0 is usual.",
        RATE,
        (rate_of_host("forewarn_agent_spool_dropped_total"), "dropped, {{kind}}"),
        (rate_of_host("forewarn_agent_rejected_total"), "invalid, {{kind}}"),
    ),
)
