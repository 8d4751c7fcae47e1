"""What can go wrong with tasks, each saying whether a retry helps."""

from __future__ import annotations


class TaskError(Exception):
    """The base of this package's errors. `retryable`: the same call may succeed later."""

    retryable = False


class LedgerError(TaskError):
    """The ledger could not be read or written; nothing of the transaction was kept."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class NoSuchTaskError(TaskError):
    """There is no task of that number."""

    def __init__(self, number: str) -> None:
        super().__init__(f"there is no task {number}; tasks are numbered like FW-17")
        self.number = number


class ChangedError(TaskError):
    """The task is no longer as whoever gives the command has seen it."""

    def __init__(self, number: str) -> None:
        super().__init__(f"{number} has changed since; look at it again")


class RefusedError(TaskError):
    """A command that does not fit the task's state, such as acknowledging a resolved task."""


class UnfitError(RefusedError):
    """A command that makes no sense in itself, whatever the state of its task."""
