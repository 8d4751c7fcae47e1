"""Disks and capacity: how full, how fast that grows, and when there is no room any more."""

from __future__ import annotations

from frame import CHANGES, Board, customers, hosts, task_spans
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model
from panels import GAUGE, Column, graph, number, sheet, to_host
from style import (
    ANY,
    BUSY,
    BYTES,
    BYTES_RATE,
    DAYS,
    FILES,
    FILES_USED,
    HOST_NAME,
    HOST_OF_LINE,
    HOSTS,
    INODES_USED,
    MEMORY_USED,
    OPERATIONS,
    ROOM_DAYS,
    SECONDS,
    SHARE,
    rate_of_host,
)

_AVAIL = f"node_filesystem_avail_bytes{{{FILES}}}"
_SIZE = f"(node_filesystem_size_bytes{{{FILES}}} > 0)"
# Falling room has a negative slope; what grows has no last day.
_LEFT = f"{_AVAIL} / (deriv({_AVAIL}[$trend]) < 0) / -86400"
_GROWTH = f"{_AVAIL} - predict_linear({_AVAIL}[$trend], 86400)"
_NAME = "{{instance}} {{mountpoint}}"
_WHERE = "customer, instance, device, mountpoint"


def _trend() -> dashboard.CustomVariable:
    spans = ("1h", "6h", "1d", "7d")
    options = [model.VariableOption(selected=span == "6h", text=span, value=span) for span in spans]
    return (
        dashboard.CustomVariable("trend")
        .label("Trend of")
        .description("From how much of the past growth is foretold")
        .values(",".join(spans))
        .options(options)
        .current(model.VariableOption(selected=True, text="6h", value="6h"))
    )


_NOW = (
    number(
        "Fullest file system",
        "Share that is used, as unprivileged programs see it; temporary and overlay file systems "
        "are left out of all that is here.",
        f"max({FILES_USED})",
        BUSY,
        SHARE,
    ),
    number(
        "Full within three days",
        "File systems that are full in three days or sooner if they go on as of late (`Trend of`).",
        f"count({_LEFT} < 3) or vector(0)",
        ANY,
    ),
    number(
        "Next is full in",
        "If all go on as of late; short trends foretell too much from one large file.",
        f"min({_LEFT})",
        ROOM_DAYS,
        DAYS,
        empty="none grows",
    ),
    number(
        "Most inodes used",
        "Share of its inodes (files and folders) that a file system has used; without any left it "
        "takes no new file.",
        f"max({INODES_USED})",
        BUSY,
        SHARE,
        empty="no limit",
    ),
    number(
        "Read-only or broken",
        "File systems that are mounted read-only, or that could not be read.",
        f"count(node_filesystem_readonly{{{FILES}}} == 1 "
        f"or node_filesystem_device_error{{{FILES}}} == 1) or vector(0)",
        ANY,
    ),
    number(
        "Room in all",
        "What is free on all file systems of the chosen hosts.",
        f"sum({_AVAIL})",
        ((None, "blue"),),
        BYTES,
    ),
)

_LEVELS = (
    sheet(
        "File systems",
        "Used, free, by how much that grows in a day as of late, and for how many days the room "
        "lasts so; without days where it does not grow. The shortest first.",
        [
            f"clamp_max(min by ({_WHERE}) ({_LEFT}), 3650)",
            f"max by ({_WHERE}) ({FILES_USED})",
            f"min by ({_WHERE}) ({_AVAIL})",
            f"min by ({_WHERE}) ({_SIZE})",
            f"max by ({_WHERE}) ({_GROWTH})",
            f"max by ({_WHERE}) ({INODES_USED})",
        ],
        [
            to_host(),
            Column("mountpoint", "Mounted on"),
            Column("Value #B", "Used", unit=SHARE, more=GAUGE),
            Column("Value #C", "Free", unit=BYTES),
            Column("Value #D", "Size", unit=BYTES),
            Column("Value #E", "Growth in a day", unit=BYTES),
            Column(
                "Value #A",
                "Lasts for",
                unit=DAYS,
                more={
                    "custom.cellOptions": {"type": "color-text"},
                    "thresholds": {
                        "mode": "absolute",
                        "steps": [{"value": value, "color": color} for value, color in ROOM_DAYS],
                    },
                },
            ),
            Column("Value #F", "Inodes", unit=SHARE),
            Column("device", "Device"),
            Column("customer", "Customer"),
        ],
        span=24,
        height=12,
        sort=("Lasts for", False),
    ),
    graph(
        "Used",
        "The ten fullest file systems at each point; one that is not among them has a gap.",
        SHARE,
        (f"topk(10, {FILES_USED})", _NAME),
        span=12,
        most=1,
        link=HOST_OF_LINE,
    ),
    graph(
        "Room that is left",
        "Free bytes of the ten that have least, and what a week more of the same would leave them.",
        BYTES,
        (f"bottomk(10, {_AVAIL})", _NAME),
        (
            f"clamp_min(predict_linear({_AVAIL}[$trend], 604800), 0) and bottomk(10, {_AVAIL})",
            f"{_NAME} in a week",
        ),
        span=12,
        link=HOST_OF_LINE,
    ),
    graph(
        "Days left",
        "Of the ten file systems that are full soonest, if they go on as of late.",
        DAYS,
        (f"bottomk(10, clamp_max({_LEFT}, 3650))", _NAME),
        span=12,
        limit=3,
        link=HOST_OF_LINE,
    ),
    graph(
        "Inodes",
        "Share of inodes that is used, the ten fullest file systems.",
        SHARE,
        (f"topk(10, {INODES_USED})", _NAME),
        span=12,
        most=1,
        link=HOST_OF_LINE,
    ),
)

_DISKS = (
    graph(
        "Disks busy",
        "Share of time in which a device had something to do, the ten busiest. At 1 a single disk "
        "can do no more; arrays and solid state disks can.",
        SHARE,
        (f"topk(10, {rate_of_host('node_disk_io_time_seconds_total')})", "{{instance}} {{device}}"),
        most=1,
        link=HOST_OF_LINE,
    ),
    graph(
        "Time of a disk operation",
        "On average of all that ended, waiting included, the ten slowest devices.",
        SECONDS,
        (
            f"topk(10, ({rate_of_host('node_disk_read_time_seconds_total')} "
            f"+ {rate_of_host('node_disk_write_time_seconds_total')}) "
            f"/ ({rate_of_host('node_disk_reads_completed_total')} "
            f"+ {rate_of_host('node_disk_writes_completed_total')} > 0))",
            "{{instance}} {{device}}",
        ),
        link=HOST_OF_LINE,
    ),
    graph(
        "Waiting operations",
        "How many operations were under way on average, the ten devices with most.",
        "none",
        (
            f"topk(10, {rate_of_host('node_disk_io_time_weighted_seconds_total')})",
            "{{instance}} {{device}}",
        ),
        link=HOST_OF_LINE,
    ).decimals(2),
    graph(
        "Read",
        "Bytes a second, the ten devices with most.",
        BYTES_RATE,
        (f"topk(10, {rate_of_host('node_disk_read_bytes_total')})", "{{instance}} {{device}}"),
        link=HOST_OF_LINE,
    ),
    graph(
        "Written",
        "Bytes a second, the ten devices with most.",
        BYTES_RATE,
        (f"topk(10, {rate_of_host('node_disk_written_bytes_total')})", "{{instance}} {{device}}"),
        link=HOST_OF_LINE,
    ),
    graph(
        "Operations",
        "Reads and writes a second, the ten devices with most.",
        OPERATIONS,
        (
            f"topk(10, {rate_of_host('node_disk_reads_completed_total')} "
            f"+ {rate_of_host('node_disk_writes_completed_total')})",
            "{{instance}} {{device}}",
        ),
        link=HOST_OF_LINE,
    ),
)

_BUSY = (
    f'1 - avg by (customer, instance) (rate(node_cpu_seconds_total{{mode="idle",{HOSTS}}}[10m]))'
)

_CAPACITY = (
    sheet(
        "Hosts with least room",
        "The twenty with the busiest CPUs, by what they used in the chosen time: one look every "
        "hour. Of very large fleets choose a customer.",
        [
            f"topk(20, quantile_over_time(0.95, ({_BUSY})[$__range:1h]))",
            f"max by (customer, instance) (max_over_time(({MEMORY_USED})[$__range:1h]))",
            f'count by (customer, instance) (node_cpu_seconds_total{{mode="idle",{HOSTS}}})',
            f"max by (customer, instance) (node_memory_MemTotal_bytes{{{HOSTS}}})",
        ],
        [
            to_host(),
            Column("Value #A", "CPU, 95th percentile", unit=SHARE, more=GAUGE),
            Column("Value #B", "Memory, most", unit=SHARE, more=GAUGE),
            Column("Value #C", "CPUs", unit="none"),
            Column("Value #D", "Memory", unit=BYTES),
            Column("customer", "Customer"),
        ],
        span=24,
        sort=("CPU, 95th percentile", True),
    ),
    graph(
        "Memory",
        "Share that is not available to programs, the ten fullest hosts.",
        SHARE,
        (f"topk(10, {MEMORY_USED})", HOST_NAME),
        span=12,
        most=1,
        link=HOST_OF_LINE,
    ),
    graph(
        "CPU",
        "Share of time not idle, over ten minutes, the ten busiest hosts.",
        SHARE,
        (f"topk(10, {_BUSY})", HOST_NAME),
        span=12,
        most=1,
        link=HOST_OF_LINE,
    ),
)

BOARD = Board(
    uid="forewarn-disks",
    title="Forewarn: disks and capacity",
    description="How full file systems are, how fast that grows, and when there is no room left.",
    variables=(customers(), hosts(), _trend()),
    notes=(task_spans(HOSTS), *CHANGES),
    sections=(
        ("Now", _NOW),
        ("File systems", _LEVELS),
        ("Disks", _DISKS),
        ("CPU and memory", _CAPACITY),
    ),
    since="now-7d",
)
