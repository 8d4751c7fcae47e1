"""What can be configured, with the defaults by which the agent runs without a configuration.

Named tuples, since the agent does without the module dataclasses, which takes 1 MB of memory.
"""

from __future__ import annotations

from typing import NamedTuple

from forewarn_wire import Labels, Problem, Severity

DEFAULT_COLLECTOR = "http://127.0.0.1:9815"


class FilesystemSettings(NamedTuple):
    """Which mounts to leave out: regular expressions, node_exporter's defaults."""

    ignore_mountpoints: str = (
        r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
    )
    ignore_types: str = (
        r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs"
        r"|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs"
        r"|squashfs|sysfs|tracefs)$"
    )


class DiskSettings(NamedTuple):
    """Which block devices to leave out: a regular expression, node_exporter's default."""

    ignore_devices: str = r"^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"


class NetworkSettings(NamedTuple):
    """Which network devices to leave out: a regular expression; empty leaves out none."""

    ignore_devices: str = ""


class ProcessGroup(NamedTuple):
    """Processes that belong together; one belongs when every given condition holds.

    `comm`: the process' name is one of these (15 characters, as in /proc/PID/stat).
    `exe`: the path of its program, or the path's last part, is one of these.
    `cmdline`: each of these regular expressions is found in its command line (blanks between).
    `pidfile`: its number stands in this file.
    """

    name: str
    comm: tuple[str, ...] = ()
    exe: tuple[str, ...] = ()
    cmdline: tuple[str, ...] = ()
    pidfile: str = ""


class HttpCheck(NamedTuple):
    """A request made at an interval, and what its answer must be.

    Times in milliseconds. `expect_status` empty: any 2xx. `expect_text`: the body must contain
    it. `ca_file` empty: the system's certificates.
    """

    name: str
    url: str
    interval: int = 10_000
    timeout: int = 5_000
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: tuple[int, ...] = ()
    expect_text: str = ""
    follow_redirects: bool = True
    ca_file: str = ""


class LogPattern(NamedTuple):
    """Lines in which the regular expression is found become events of this severity.

    `name` tells patterns of one log apart; it is the label `pattern`.
    """

    name: str
    regex: str
    severity: Severity = Severity.ERROR
    ignore: str = ""


class LogSettings(NamedTuple):
    """Files to follow (paths or globs), and the patterns whose lines become events."""

    name: str
    paths: tuple[str, ...]
    patterns: tuple[LogPattern, ...]
    encoding: str = "utf-8"
    job: str = "log"
    max_events_per_second: int = 50
    max_line: int = 16_384


class SpoolSettings(NamedTuple):
    """Where signals wait until the collector has them, and how many bytes may wait."""

    path: str = ""
    max_size: int = 64 * 2**20


class AgentConfig(NamedTuple):
    """The whole configuration. Times in milliseconds."""

    collector: str = DEFAULT_COLLECTOR
    token: str = ""
    token_file: str = ""
    ca_file: str = ""
    timeout: int = 10_000
    instance: str = ""
    interval: int = 10_000
    labels: Labels = ()
    spool: SpoolSettings = SpoolSettings()
    disabled: frozenset[str] = frozenset()
    filesystem: FilesystemSettings = FilesystemSettings()
    disk: DiskSettings = DiskSettings()
    network: NetworkSettings = NetworkSettings()
    processes: tuple[ProcessGroup, ...] = ()
    checks: tuple[HttpCheck, ...] = ()
    logs: tuple[LogSettings, ...] = ()

    def __repr__(self) -> str:
        # Without its values, since the token is one of them.
        return f"AgentConfig({self.instance} to {self.collector})"


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
