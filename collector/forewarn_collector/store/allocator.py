"""The C library's memory: what columns of some megabytes leave behind when they are freed.

glibc keeps freed blocks of up to 32 MB in its heaps for what may come next. Mapping each block by
itself instead makes all work on columns slower, restarts twice as slow.
"""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return what is free to the system, some milliseconds; nothing where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
