"""One process holds a data directory: two that write would not see each other's series."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from forewarn_collector.store.errors import StoreError


def hold(directory: Path) -> int:
    """Hold a directory, which is made if need be: the descriptor to close. Raises StoreError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        held = os.open(directory / "store.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"cannot use the data directory {directory}: {error.strerror};"
            " choose one that this user may write to",
            retryable=False,
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise StoreError(
            f"the data directory {directory} is in use by another collector;"
            " stop it or choose another directory",
            retryable=False,
        ) from error
    return held
