"""The agent's configuration: YAML to `AgentConfig`, all errors at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from forewarn_agent import config_readers
from forewarn_agent.settings import (
    AgentConfig,
    ConfigError,
    DiskSettings,
    FilesystemSettings,
    HttpCheck,
    LogPattern,
    LogSettings,
    NetworkSettings,
    ProcessGroup,
    SpoolSettings,
)
from forewarn_wire import Labels, Problem, Severity, is_label_name, labels_from, readers
from forewarn_wire.document import Section, read_document

RESERVED_LABELS = frozenset({"__name__", "job", "instance"})


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_Named)


def load_config(path: str, environment: Mapping[str, str], sources: frozenset[str]) -> AgentConfig:
    """Read a configuration file. `sources`: the names that can be disabled.

    Raises ConfigError, also where the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "check the path and who may read it"
        raise ConfigError([Problem(path, 0, 0, f"cannot be read: {why}", hint)]) from error
    return read_config(text, path, environment, sources)


def read_config(
    text: str, file: str, environment: Mapping[str, str], sources: frozenset[str]
) -> AgentConfig:
    """As `load_config`, for the text of a file."""
    problems: list[Problem] = []
    root = read_document(text, file, problems)
    config = AgentConfig() if root is None else _agent(root, environment, sources)
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return config


def _agent(root: Section, environment: Mapping[str, str], sources: frozenset[str]) -> AgentConfig:
    default = AgentConfig()
    config = default._replace(
        collector=root.take("collector", config_readers.address, default.collector),
        token=root.take("token", config_readers.token(environment), ""),
        token_file=root.take("token_file", config_readers.existing_file, ""),
        ca_file=root.take("ca_file", config_readers.existing_file, ""),
        timeout=root.take("timeout", config_readers.positive_duration, default.timeout),
        instance=root.take("instance", readers.text, ""),
        interval=root.take("interval", config_readers.interval, default.interval),
        labels=_labels(root.section("labels")),
        spool=_spool(root.section("spool")),
        processes=_each(root, "processes", _process),
        checks=_each(root, "checks", _check),
        logs=_each(root, "logs", _log),
        **_sources(root.section("sources"), sources),
    )
    if config.token and config.token_file:
        root.problem("token", "token and token_file are both given", "keep token_file")
    root.refuse_unknown()
    return config


def _each(root: Section, field: str, read: Callable[[Section], Named]) -> tuple[Named, ...]:
    """The items of a list, whose names must differ."""
    found: dict[str, Named] = {}
    for section in root.sections(field):
        item = read(section)
        if item.name in found:
            section.problem("name", f"{item.name} is there twice in {field}", "rename one of them")
        found[item.name] = item
    return tuple(found.values())


def _labels(section: Section | None) -> Labels:
    if section is None:
        return ()
    found: dict[str, str] = {}
    for name in section.names():
        text = section.require(name, readers.text, "")
        if not is_label_name(name):
            section.problem(name, f"{name!r} is no label name", "use letters, digits and _")
        elif name in RESERVED_LABELS:
            section.problem(name, f"{name} is set by the agent", "see instance")
        else:
            found[name] = text
    return labels_from(found)


def _spool(section: Section | None) -> SpoolSettings:
    default = SpoolSettings()
    if section is None:
        return default
    settings = SpoolSettings(
        path=section.take("path", readers.text, ""),
        max_size=section.take("max_size", config_readers.spool_size, default.max_size),
    )
    section.refuse_unknown()
    return settings


def _sources(section: Section | None, known: frozenset[str]) -> dict[str, Any]:
    if section is None:
        return {}

    def disabled(value: Any) -> frozenset[str]:
        names = frozenset(readers.texts(value))
        unknown = ", ".join(sorted(names - known))
        if unknown:
            raise ValueError(f"no source is called {unknown}; there are {', '.join(sorted(known))}")
        return names

    found: dict[str, Any] = {"disabled": section.take("disable", disabled, frozenset[str]())}
    filesystem = section.section("filesystem")
    if filesystem is not None:
        default = FilesystemSettings()
        found["filesystem"] = FilesystemSettings(
            filesystem.take("ignore_mountpoints", config_readers.regex, default.ignore_mountpoints),
            filesystem.take("ignore_types", config_readers.regex, default.ignore_types),
        )
        filesystem.refuse_unknown()
    for name, kind in (("disk", DiskSettings), ("network", NetworkSettings)):
        devices = section.section(name)
        if devices is not None:
            ignore = devices.take("ignore_devices", config_readers.regex, kind().ignore_devices)
            found[name] = kind(ignore)
            devices.refuse_unknown()
    section.refuse_unknown()
    return found


def _process(section: Section) -> ProcessGroup:
    group = ProcessGroup(
        section.require("name", config_readers.name, ""),
        comm=section.take("comm", readers.texts, ()),
        exe=section.take("exe", readers.texts, ()),
        cmdline=section.take("cmdline", config_readers.regexes, ()),
        pidfile=section.take("pidfile", readers.text, ""),
    )
    if not {"comm", "exe", "cmdline", "pidfile"} & set(section.names()):
        section.problem("", "the group has no condition", "say comm, exe, cmdline or pidfile")
    section.refuse_unknown()
    return group


def _check(section: Section) -> HttpCheck:
    default = HttpCheck("", "")
    check = HttpCheck(
        name=section.require("name", config_readers.name, ""),
        url=section.require("url", config_readers.url, ""),
        interval=section.take("interval", config_readers.interval, default.interval),
        timeout=section.take("timeout", config_readers.positive_duration, default.timeout),
        method=section.take("method", readers.one_of("GET", "HEAD", "POST"), default.method),
        headers=section.take("headers", config_readers.headers, ()),
        expect_status=section.take("expect_status", config_readers.statuses, ()),
        expect_text=section.take("expect_text", readers.text, ""),
        follow_redirects=section.take("follow_redirects", readers.boolean, True),
        ca_file=section.take("ca_file", config_readers.existing_file, ""),
    )
    section.refuse_unknown()
    return check


def _log(section: Section) -> LogSettings:
    default = LogSettings("", (), ())
    paths = section.require("paths", config_readers.absolute_paths, default.paths)
    so_far = len(section.problems)
    patterns = tuple(_pattern(item) for item in section.sections("patterns"))
    if not patterns and len(section.problems) == so_far:
        section.problem("", "patterns is missing", "give at least one, such as - regex: 'ERROR'")
    settings = LogSettings(
        name=section.require("name", config_readers.name, ""),
        paths=paths,
        patterns=patterns,
        encoding=section.take("encoding", config_readers.encoding, default.encoding),
        job=section.take("job", config_readers.name, default.job),
        max_events_per_second=section.take(
            "max_events_per_second", readers.whole_number, default.max_events_per_second
        ),
        max_line=section.take("max_line", readers.size, default.max_line),
    )
    section.refuse_unknown()
    return settings


def _pattern(section: Section) -> LogPattern:
    regex = section.require("regex", config_readers.regex, "")
    severity = readers.one_of(*(severity.value for severity in Severity))
    pattern = LogPattern(
        name=section.take("name", readers.text, regex),
        regex=regex,
        severity=Severity(section.take("severity", severity, Severity.ERROR.value)),
        ignore=section.take("ignore", config_readers.regex, ""),
    )
    section.refuse_unknown()
    return pattern
