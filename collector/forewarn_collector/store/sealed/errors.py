"""The error of bytes that are not what was written."""

from __future__ import annotations


class DamagedError(ValueError):
    """What is damaged, and in what way.

    `block` is the number of the block, None where it is the directory; `part` is which of the
    parts that were to be decoded it belongs to.
    """

    def __init__(self, reason: str, *, block: int | None = None, part: int = 0) -> None:
        super().__init__(reason)
        self.block = block
        self.part = part
