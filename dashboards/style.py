"""What all dashboards have in common: units, thresholds, colours, links and filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from grafana_foundation_sdk.models import dashboard as model

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

# Units by Grafana's names; tests/dashboards/units.py has what an expression of each must give.
SHARE = "percentunit"
SECONDS = "s"
DAYS = "d"
BYTES = "bytes"
BYTES_RATE = "binBps"
BITS_RATE = "bps"
RATE = "cps"
OPERATIONS = "iops"
PACKETS = "pps"
NUMBER = "none"
SINCE = "dateTimeFromNow"

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: from which value (None: from the lowest on) which colour."""

# At what a person should look; the rules decide for themselves when a task opens.
BUSY: Steps = ((None, "green"), (0.8, "orange"), (0.95, "red"))
SOME: Steps = ((None, "green"), (1, "orange"))
ANY: Steps = ((None, "green"), (1, "red"))
WANTED: Steps = ((None, "red"), (1, "green"))
PLAIN: Steps = ((None, "blue"),)
ROOM_DAYS: Steps = ((None, "red"), (3, "orange"), (14, "green"))
BUDGET_SECONDS = 0.25
ONSET: Steps = ((None, "green"), (BUDGET_SECONDS, "orange"), (10, "red"))

SEVERITIES: Mapping[str, str] = {
    "critical": "dark-red",
    "high": "red",
    "medium": "orange",
    "warning": "orange",
    "low": "yellow",
}
STATES: Mapping[str, str] = {
    "open": "red",
    "acknowledged": "orange",
    "in_progress": "blue",
    "waiting": "purple",
    "resolved": "green",
    "closed": "text",
}

STANDS = 'state=~"open|acknowledged|in_progress|waiting"'
ENDED = 'state=~"resolved|closed"'
HOSTS = 'customer=~"$customer",instance=~"$host"'
TASKS = f'{HOSTS},service=~"$service"'
FILES = f'fstype!~"tmpfs|ramfs|overlay|squashfs",{HOSTS}'
NICS = 'device!~"lo|veth.*|ifb.*"'

# Shares that are used, of what is there at all.
MEMORY_USED = (
    f"1 - node_memory_MemAvailable_bytes{{{HOSTS}}} / node_memory_MemTotal_bytes{{{HOSTS}}}"
)
FILES_USED = (
    f"1 - node_filesystem_avail_bytes{{{FILES}}} / (node_filesystem_size_bytes{{{FILES}}} > 0)"
)
INODES_USED = f"1 - node_filesystem_files_free{{{FILES}}} / (node_filesystem_files{{{FILES}}} > 0)"

HOST_NAME = "{{instance}} {{customer}}"


def rate_of_host(metric: str, more: str = "") -> str:
    """The rate of a counter of the chosen hosts; `more` are matchers, each with a comma behind."""
    return f"rate({metric}{{{more}{HOSTS}}}[$__rate_interval])"


def rate_of_nic(metric: str) -> str:
    """The rate of a counter of real network interfaces."""
    return rate_of_host(f"node_network_{metric}_total", f"{NICS},")


def memory_of_host(name: str) -> str:
    """A line of /proc/meminfo."""
    return f"node_memory_{name}_bytes{{{HOSTS}}}"


class Link(TypedDict):
    """A link on a value or a cell, as Grafana writes it."""

    title: str
    url: str
    targetBlank: bool


def link(title: str, url: str, *, elsewhere: bool = False) -> Link:
    """A link that opens in place, or elsewhere in a window of its own."""
    return {"title": title, "url": url, "targetBlank": elsewhere}


# `:raw`, since Grafana would else encode the address.
TASK_PAGE = link("The task's page", "${__data.fields.url:raw}", elsewhere=True)


def board(uid: str, **variables: str) -> str:
    """The address of another of our dashboards at the same time; the rest of its variables stay."""
    given = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?var-datasource=${{datasource}}&${{__url_time_range}}{given}"


HOST_BOARD = link("This host", board("forewarn-host", host="${__data.fields.instance}"))
HOST_OF_LINE = link("This host", board("forewarn-host", host="${__field.labels.instance}"))
SERVICE_BOARD = link("This service", board("forewarn-service", service="${__data.fields.service}"))
TASKS_BOARD = link("All tasks", board("forewarn-tasks"))


def coloured(values: Mapping[str, str]) -> list[model.ValueMapping]:
    """Mappings that give texts their colours."""
    results = {
        text: model.ValueMappingResult(color=color, index=place)
        for place, (text, color) in enumerate(values.items())
    }
    return [model.ValueMap(options=results)]


def said(values: Mapping[str, tuple[str, str]]) -> list[model.ValueMapping]:
    """Mappings of numbers to a text and its colour."""
    results = {
        number: model.ValueMappingResult(text=text, color=color, index=place)
        for place, (number, (text, color)) in enumerate(values.items())
    }
    return [model.ValueMap(options=results)]
