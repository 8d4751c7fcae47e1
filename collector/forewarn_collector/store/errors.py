"""The store's one error, which says whether a retry helps."""

from __future__ import annotations


class StoreError(Exception):
    """Something could not be stored or read; nothing of it was half applied.

    `retryable`: the cause lies outside the data and may pass, such as a full disk.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class TooManySamplesError(ValueError):
    """A selection of more samples than memory is allowed for; ask for fewer series or less time."""
