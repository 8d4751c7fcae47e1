"""Time as an argument: only `__main__` modules make a clock that reads the real one."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since epoch."""
