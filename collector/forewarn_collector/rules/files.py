"""Which files hold the rules, and whether they changed since they were last read."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.rules.load import files_in, is_test, load_rules
from forewarn_collector.rules.model import RuleSet
from forewarn_collector.rules.shipped import shipped_rules_dir


@dataclass(frozen=True, slots=True)
class LastReload:
    """Since when (ms) the rules in force are, and why newer files are refused, "" if none are."""

    taken_at: int
    refused: str = ""


_Seen = tuple[tuple[str, int, int, int], ...]


class RuleFiles:
    """The rule files that a collector runs: `patterns` are files, folders or globs (`**` too).

    Without a pattern, the rules that ship. `interval` (ms) is for groups that name none.
    """

    def __init__(self, patterns: Sequence[str], *, interval: int) -> None:
        self._patterns = patterns
        self._interval = interval
        self._seen: _Seen = ()

    def load(self) -> RuleSet:
        """Read the files as they are now. Raises RuleFileError, with every problem of all."""
        # What is seen is noted first: a change while reading is then seen as one.
        self._seen = self._look()
        return load_rules(self._paths(), interval=self._interval)

    def changed(self) -> bool:
        """Whether a file was changed, added or removed since the last `load`, good or bad."""
        return self._look() != self._seen

    def _paths(self) -> list[Path]:
        if not self._patterns:
            return [shipped_rules_dir()]
        found: list[Path] = []
        for pattern in self._patterns:
            matched = [
                Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if name != pattern
            ]
            # What is named, or not there, stays in the list, so that loading says what is wrong.
            found += [path for path in matched if not is_test(path)] or [Path(pattern)]
        return found

    def _look(self) -> _Seen:
        seen = []
        for path in self._paths():
            try:
                files = files_in(path) if path.is_dir() else [path]
            except OSError:
                continue
            for file in files:
                try:
                    status = file.stat()
                except OSError:
                    continue
                seen.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(seen)
