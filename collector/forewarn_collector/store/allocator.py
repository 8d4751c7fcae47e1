"""The C library's memory: given back to the system when it is freed, as columns come and go.

glibc keeps freed blocks of up to 32 MB for what may come next, and as many heaps as threads have
asked for one. With columns of some megabytes that is a fifth of the process' memory.
"""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8

_LARGE = 524_288
"""Bytes of a block from which on it is mapped by itself: more than a column of 50,000 series."""
_ARENAS = 2


def give_back_early() -> None:
    """Have the process keep less of what it has freed. Does nothing where there is no glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, _ARENAS)
