"""What `forewarn rules check` reports: all that is wrong with rule files, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.rules.load import read_rule_files
from forewarn_wire import Problem


@dataclass(frozen=True, slots=True)
class Report:
    """`rules`: how many rules could be read, by file. `problems`: in the order of the files."""

    rules: Mapping[str, int]
    problems: Sequence[Problem]


def check_files(paths: Sequence[Path]) -> Report:
    """Check rule files, and all of a folder's but for tests. Never raises for what they hold."""
    files, problems = read_rule_files(paths)
    counts = {str(file.path): sum(len(group.rules) for group in file.groups) for file in files}
    return Report(counts, problems)
