"""The real ticket systems, each started when a test first asks for it, and kept to the end."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from support.redmine import Redmine, running_redmine
from support.request_tracker import RequestTracker, running_request_tracker


class RealTrackers:
    """One of each for all tests: each makes tickets of its own."""

    def __init__(self) -> None:
        self._running = ExitStack()

    @cached_property
    def request_tracker(self) -> RequestTracker:
        """A Request Tracker."""
        return self._running.enter_context(running_request_tracker(self._folder() / "rt"))

    @cached_property
    def redmine(self) -> Redmine:
        """A Redmine."""
        return self._running.enter_context(running_redmine(self._folder() / "redmine"))

    def close(self) -> None:
        """Stop them."""
        self._running.close()

    def _folder(self) -> Path:
        # In memory where that can be: their databases need not outlive a power cut.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        folder = tempfile.TemporaryDirectory(prefix="forewarn-", dir=memory)
        return Path(self._running.enter_context(folder))


REAL = RealTrackers()
