"""Rule files to compiled rules, or to all that is wrong with them, each with its place.

The format is Prometheus' (https://prometheus.io/docs/prometheus/latest/configuration/), read as
strictly as prometheus/prometheus `model/rulefmt` does, with a `task:` block as the only addition.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forewarn_collector.rules.fields import NameScheme, RuleReader
from forewarn_collector.rules.load_task import read_task
from forewarn_collector.rules.model import (
    AlertingRule,
    RecordingRule,
    Rule,
    RuleGroup,
    RuleSet,
)
from forewarn_collector.rules.templates import Template
from forewarn_wire import Problem
from forewarn_wire.document import read_document
from forewarn_wire.document_errors import not_text
from forewarn_wire.labels import is_metric_name
from forewarn_wire.readers import duration

DEFAULT_INTERVAL = 15_000
"""How often (ms) a group without `interval` is evaluated when no data arrives for it."""

_TEST_FILE = "this is a test file: `forewarn rules test` runs it"
_SUFFIXES = (".yml", ".yaml")
_TESTS = tuple(f"{mark}{suffix}" for mark in ("_test", ".test") for suffix in _SUFFIXES)


class RuleFileError(ValueError):
    """Rule files with something wrong; `problems` are all of them, of all files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule that could be read, and the reader that knows where its fields stand."""

    rule: Rule
    reader: RuleReader


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One file that was read: its groups, as far as they could be read.

    `written` are the rules of all groups in their order, `source` is the text of the file.
    """

    path: Path
    groups: tuple[RuleGroup, ...] = ()
    written: tuple[WrittenRule, ...] = ()
    source: str = ""


def load_rules(paths: Iterable[Path], *, interval: int = DEFAULT_INTERVAL) -> RuleSet:
    """Load rule files, and all that there are in folders, see `files_in`.

    `interval` (ms) is for groups that have none of their own. Raises RuleFileError.
    """
    files, problems = read_rule_files(paths, interval=interval)
    if problems:
        raise RuleFileError(problems)
    return RuleSet(_with_unique_keys([group for file in files for group in file.groups]))


def read_rule_files(
    paths: Iterable[Path],
    *,
    interval: int = DEFAULT_INTERVAL,
    scheme: NameScheme = NameScheme.UTF8,
) -> tuple[list[LoadedFile], list[Problem]]:
    """What could be read of the files, and all that is wrong with them, by place."""
    problems: list[Problem] = []
    files = [_read_file(path, interval, scheme, problems) for path in _expand(paths, problems)]
    order = {str(file.path): position for position, file in enumerate(files)}
    problems.sort(key=lambda found: (order.get(found.file, -1), found.line, found.column))
    return files, problems


def files_in(folder: Path) -> list[Path]:
    """The `*.yml` and `*.yaml` of a folder and of those in it, sorted.

    Tests (`*_test.*`, `*.test.*`) are left out, and what begins with a dot: Kubernetes has the
    files of a volume there once more. Raises OSError for a folder that can't be read.
    """

    def fail(error: OSError) -> None:
        raise error

    # Of text until the end: this is done every second, to notice changes.
    found: list[str] = []
    for inside, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        chosen = [name for name in names if name.endswith(_SUFFIXES) and name[0] != "."]
        found += [os.path.join(inside, name) for name in chosen if not name.endswith(_TESTS)]
    return list(map(Path, sorted(found)))


def is_test(path: Path) -> bool:
    """Whether a file holds tests of rules, by its name."""
    return path.name.endswith(_TESTS)


def _expand(paths: Iterable[Path], problems: list[Problem]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            try:
                found |= dict.fromkeys(files_in(path))
            except OSError as error:
                where, why = error.filename or path, error.strerror
                problems.append(Problem(str(where), 0, 0, f"can't be read: {why}"))
        elif path.exists():
            found[path] = None
        else:
            hint = "give a rule file or a folder of them"
            problems.append(Problem(str(path), 0, 0, "no such file or folder", hint))
    return list(found)


def _read_file(
    path: Path, interval: int, scheme: NameScheme, problems: list[Problem]
) -> LoadedFile:
    nothing = LoadedFile(path)
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        problems.append(Problem(str(path), 0, 0, f"can't be read: {error.strerror}"))
        return nothing
    except UnicodeDecodeError as error:
        problems.append(not_text(error, str(path)))
        return nothing
    document = read_document(source, str(path), problems)
    if document is None:
        return nothing
    groups = []
    written: list[WrittenRule] = []
    seen: set[str] = set()
    for section in document.sections("groups"):
        group, rules = _read_group(RuleReader(section, source, scheme), interval)
        if group.name in seen and group.name:
            hint = "give it another name, or put its rules into the other group"
            section.problem("name", f"group {group.name} is given twice", hint)
        seen.add(group.name)
        groups.append(group)
        written += rules
    document.refuse_unknown(dict.fromkeys(("rule_files", "tests"), _TEST_FILE))
    return LoadedFile(path, tuple(groups), tuple(written), source)


def _read_group(reader: RuleReader, interval: int) -> tuple[RuleGroup, list[WrittenRule]]:
    section = reader.section
    name = reader.text("name")
    if not name:
        section.problem("name", "name is missing", "every group needs a name of its own")
    group = RuleGroup(
        name=name,
        file=section.file,
        interval=section.take("interval", duration, 0) or interval,
        limit=section.take("limit", _limit, 0),
        query_offset=section.take("query_offset", duration, 0),
        rules=(),
    )
    shared = reader.labels(RuleReader.template)
    written = []
    for item in map(reader.within, section.sections("rules")):
        rule = _read_rule(item, group, shared)
        if rule is not None:
            written.append(WrittenRule(rule, item))
    section.refuse_unknown()
    return replace(group, rules=tuple(each.rule for each in written)), written


def _limit(value: Any) -> int:
    """Of none, as of 0, is one below 0, too, as in Prometheus."""
    if isinstance(value, int) and not isinstance(value, bool):
        return max(value, 0)
    raise ValueError(f"expected a whole number, found {value!r}")


def _read_rule(reader: RuleReader, group: RuleGroup, shared: Mapping[str, Template]) -> Rule | None:
    section = reader.section
    before = len(section.problems)
    alert, record = reader.text("alert"), reader.text("record")
    if alert and record:
        section.problem("record", "record and alert are both given", "make two rules of it")
    elif not alert and not record:
        hint = "alert: NAME for an alert, record: NAME to store the result as a series"
        section.problem("", "neither alert nor record is given", hint)
    rule = (
        _read_recording(reader, group, record, shared)
        if record and not alert
        else _read_alerting(reader, group, alert, shared)
    )
    section.refuse_unknown()
    return rule if len(section.problems) == before else None


def _read_alerting(
    reader: RuleReader, group: RuleGroup, name: str, shared: Mapping[str, Template]
) -> AlertingRule | None:
    section = reader.section
    query = reader.query("expr")
    labels = {**shared, **reader.labels(RuleReader.template)}
    annotations = reader.named("annotations", RuleReader.template)
    waits = section.take("for", duration, 0), section.take("keep_firing_for", duration, 0)
    task = read_task(reader)
    if query is None:
        return None
    return AlertingRule(
        key=f"{group.name}/{name}",
        name=name,
        group=group.name,
        file=section.file,
        line=section.place()[0],
        expr=reader.text("expr").strip(),
        query=query,
        for_=waits[0],
        keep_firing_for=waits[1],
        labels=labels,
        annotations=annotations,
        task=task,
    )


def _read_recording(
    reader: RuleReader, group: RuleGroup, name: str, shared: Mapping[str, Template]
) -> RecordingRule | None:
    section = reader.section
    if "{" in name or "}" in name:
        hint = "labels go under labels:, a selection into expr:"
        section.problem("record", f"not a metric's name: {name}", hint)
    elif reader.scheme is NameScheme.LEGACY and not is_metric_name(name):
        hint = "use letters, digits, _ and : only, not a digit first"
        section.problem("record", f"{name!r} is not a name in Prometheus 2", hint)
    for field in ("for", "keep_firing_for", "annotations", "task"):
        reader.refuse(field, f"{field} belongs to an alert, not to record", "remove it")
    query = reader.query("expr")
    labels = {key: template.source for key, template in shared.items()}
    labels |= reader.labels(RuleReader.text)
    if query is None:
        return None
    return RecordingRule(
        key=f"{group.name}/{name}",
        name=name,
        group=group.name,
        file=section.file,
        line=section.place()[0],
        expr=reader.text("expr").strip(),
        query=query,
        labels=labels,
    )


def _with_unique_keys(groups: Sequence[RuleGroup]) -> tuple[RuleGroup, ...]:
    """The groups, their rules' keys told apart where one name stands more than once.

    First by the rule's labels, so that a key does not depend on where in the file its rule stands;
    where these are alike too, by counting.
    """
    names = Counter(rule.key for group in groups for rule in group.rules)
    used: Counter[str] = Counter()

    def unique(rule: Rule) -> Rule:
        key = rule.key
        if names[key] > 1:
            texts = {name: getattr(value, "source", value) for name, value in rule.labels.items()}
            key += "{" + ",".join(f"{name}={texts[name]!r}" for name in sorted(texts)) + "}"
        used[key] += 1
        if used[key] > 1:
            key += f"#{used[key]}"
        return replace(rule, key=key)

    return tuple(
        replace(group, rules=tuple(unique(rule) for rule in group.rules)) for group in groups
    )
