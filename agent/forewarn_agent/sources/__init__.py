"""The agent's sources: one file for each family, and the tuple of all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from forewarn_agent.settings import AgentConfig, HttpCheck, ProcessGroup
from forewarn_agent.sources.base import Handle, Loop, Reading, Series, Source, SourceContext
from forewarn_agent.sources.cpu import CpuSource
from forewarn_agent.sources.disk import DiskSource
from forewarn_agent.sources.filesystem import FilesystemSource
from forewarn_agent.sources.limits import conntrack_source, entropy_source, filefd_source
from forewarn_agent.sources.load import load_source
from forewarn_agent.sources.memory import memory_source, vmstat_source
from forewarn_agent.sources.netclass import NetclassSource
from forewarn_agent.sources.network import NetworkSource
from forewarn_agent.sources.pressure import PressureSource
from forewarn_agent.sources.processes import ProcessesSource
from forewarn_agent.sources.sockets import netstat_source, sockstat_source
from forewarn_agent.sources.system import OsSource, UnameSource
from forewarn_agent.sources.timekeeping import TimeSource, TimexSource

__all__ = [
    "SOURCES",
    "Handle",
    "Loop",
    "Reading",
    "Series",
    "Source",
    "SourceContext",
    "SourceKind",
]


class SourceKind(NamedTuple):
    """How to make one source out of the configuration.

    `settings` picks the part of the configuration that it reads: while that part (and the
    context) stays equal, a reload keeps the running source. None means: nothing configured, so
    no source. `build` imports the source's module, so that what is not used is not loaded.
    """

    name: str
    settings: Callable[[AgentConfig], Any]
    build: Callable[[SourceContext, Any], Source]


def _always(config: AgentConfig) -> tuple[()]:
    return ()


def _without_proc(config: AgentConfig) -> tuple[()] | None:
    return None if os.path.exists("/proc/stat") else ()


def _portable(context: SourceContext, settings: object) -> Source:
    from forewarn_agent.sources.portable import PortableSource

    return PortableSource(context)


def _process_groups(context: SourceContext, settings: tuple[ProcessGroup, ...]) -> Source:
    from forewarn_agent.sources.process_groups import ProcessGroupsSource

    return ProcessGroupsSource(context, settings)


def _logs(context: SourceContext, settings: Any) -> Source:
    from forewarn_agent.sources.logs import LogsSource

    return LogsSource(context, settings)


def _http_checks(context: SourceContext, settings: tuple[HttpCheck, ...]) -> Source:
    from forewarn_agent.sources.http_checks import HttpChecksSource

    return HttpChecksSource(context, settings)


SOURCES: tuple[SourceKind, ...] = (
    SourceKind("cpu", _always, lambda context, _: CpuSource(context)),
    SourceKind("loadavg", _always, lambda context, _: load_source(context)),
    SourceKind("meminfo", _always, lambda context, _: memory_source(context)),
    SourceKind("vmstat", _always, lambda context, _: vmstat_source(context)),
    SourceKind("filesystem", lambda config: config.filesystem, FilesystemSource),
    SourceKind("diskstats", lambda config: config.disk, DiskSource),
    SourceKind("netdev", lambda config: config.network, NetworkSource),
    SourceKind("netclass", _always, lambda context, _: NetclassSource(context)),
    SourceKind("filefd", _always, lambda context, _: filefd_source(context)),
    SourceKind("conntrack", _always, lambda context, _: conntrack_source(context)),
    SourceKind("entropy", _always, lambda context, _: entropy_source(context)),
    SourceKind("pressure", _always, lambda context, _: PressureSource(context)),
    SourceKind("sockstat", _always, lambda context, _: sockstat_source(context)),
    SourceKind("netstat", _always, lambda context, _: netstat_source(context)),
    SourceKind("processes", _always, lambda context, _: ProcessesSource(context)),
    SourceKind("uname", _always, lambda context, _: UnameSource(context)),
    SourceKind("os", _always, lambda context, _: OsSource(context)),
    SourceKind("time", _always, lambda context, _: TimeSource(context)),
    SourceKind("timex", _always, lambda context, _: TimexSource(context)),
    SourceKind("portable", _without_proc, _portable),
    SourceKind("process_groups", lambda config: config.processes or None, _process_groups),
    SourceKind("http_checks", lambda config: config.checks or None, _http_checks),
    SourceKind("logs", lambda config: config.logs or None, _logs),
)
"""Every source there is, in the order of collection; the names are node_exporter's collectors'
where it has one."""
