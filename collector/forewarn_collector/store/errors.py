"""The store's one error, which says whether a retry helps."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """Something could not be stored or read; nothing of it was half applied.

    `retryable`: the cause lies outside the data and may pass, such as a full disk.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class DamagedFileError(StoreError):
    """SQLite finds no way through one of the files, `path`."""

    def __init__(self, path: Path, doing: str, error: object) -> None:
        super().__init__(
            f"cannot {doing} {path}: {error}; it is damaged: stop the collector and run `forewarn"
            f" doctor --repair {path.parent}`, which sets it aside and saves what can be read",
            retryable=False,
        )
        self.path = path


class TooManySamplesError(ValueError):
    """A selection of more samples than memory is allowed for; ask for fewer series or less time."""
