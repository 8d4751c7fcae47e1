"""Whether a collector holds a data directory, found without touching its lock."""

from __future__ import annotations

import os
from pathlib import Path


def is_held(lock: Path) -> bool:
    """Whether any process holds the lock, by Linux' list of locks.

    To try the lock would keep a collector from it that starts just then.
    """
    try:
        found = lock.stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return False
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any(device in line.split() for line in lines)
