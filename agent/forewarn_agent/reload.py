"""Read the configuration again when its file changes or SIGHUP comes; a bad one changes nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from forewarn_agent.runner import Agent
from forewarn_agent.settings import AgentConfig, ConfigError
from forewarn_agent.watcher import Watcher

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.1
"""An editor writes a file in steps; it is read when it has been quiet for so long."""
LOOK_SECONDS = 10.0
"""How often the file is looked at besides, for file systems that tell nothing (NFS, a swapped
symbolic link)."""


class Reloader:
    """Watches one configuration file for one agent. All methods belong to the loop's thread."""

    def __init__(self, path: str, read: Callable[[], AgentConfig], agent: Agent) -> None:
        self._path = os.path.abspath(path)
        self._read = read
        self._agent = agent
        self._seen = self._fingerprint()
        self._pending = agent.loop.call_later(LOOK_SECONDS, self._look)
        self._watcher = Watcher(agent.loop.call_soon_threadsafe, self._changed, renames=True)
        self._watcher.watch({os.path.dirname(self._path)})

    def reload(self) -> None:
        """Read the file now, changed or not."""
        self._seen = self._fingerprint()
        try:
            config = self._read()
        except ConfigError as error:
            self._agent.reload_successful = False
            for problem in error.problems:
                log.error("%s", problem)
            log.error("the configuration is not reloaded; the one in force stays")
            return
        self._agent.reload_successful = True
        self._agent.reload(config)
        log.info("the configuration is reloaded from %s", self._path)

    def stop(self) -> None:
        """Stop watching."""
        self._pending.cancel()
        self._watcher.stop()

    def _changed(self, paths: set[str]) -> None:
        # Also other paths of the directory: a configuration may be a link to one of them.
        self._pending.cancel()
        self._pending = self._agent.loop.call_later(SETTLE_SECONDS, self._look)

    def _look(self) -> None:
        self._pending = self._agent.loop.call_later(LOOK_SECONDS, self._look)
        if self._fingerprint() != self._seen:
            self.reload()

    def _fingerprint(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size
