"""One file that is followed: its lines by offset, through truncation, wherever it is renamed to.

A file is known by device, inode, and the beginning of its content, since inodes are used again
and a truncated file may have grown anew before anyone looked.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from typing import NamedTuple

CHUNK = 65_536
PREFIX = 64
"""Bytes at the beginning of a file by which it is told from its successor."""

Identity = tuple[int, int]
"""Device and inode."""


class Line(NamedTuple):
    """A line without its end; `start` is its offset in generation `generation` of the file."""

    start: int
    generation: int
    content: bytes


class LogFile:
    """An open file. `generation` differs for every content that began at offset 0."""

    def __init__(
        self, path: str, *, generation: int, max_line: int, offset: int = 0, prefix: str = ""
    ) -> None:
        """Open at an offset; `prefix` is what `mark` said. Raises OSError."""
        # Not blocking: a glob may match a pipe, whose opening would wait for a writer.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._fd)
        self.path = path
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.generation = generation
        self._max_line = max_line
        self._buffer = b""
        self._start = offset
        """Offset of the buffer's first byte: the line that is not complete yet."""
        self._skipping = False
        """Within a line that was too long, whose beginning was given already."""
        length, _, checksum = prefix.partition(":")
        self._prefix = (int(length), int(checksum)) if checksum else (0, 0)

    @classmethod
    def resume(cls, path: str, mark: str, max_line: int) -> LogFile:
        """Open where `mark` says, whatever the file is called now. Raises OSError, ValueError."""
        generation, offset, prefix = mark.split(" ", 3)[:3]
        return cls(
            path,
            generation=int(generation),
            max_line=max_line,
            offset=int(offset),
            prefix=prefix,
        )

    @property
    def mark(self) -> str:
        """Where to go on after a restart: generation, offset, prefix and path."""
        length, checksum = self._prefix
        return f"{self.generation} {self._start} {length}:{checksum} {self.path}"

    @property
    def has_partial_line(self) -> bool:
        """Whether a line has begun that is not complete."""
        return bool(self._buffer) and not self._skipping

    def skip_to_end(self) -> None:
        """Leave out what is there already."""
        self._start = os.fstat(self._fd).st_size
        self._skipping = self._start > 0 and os.pread(self._fd, 1, self._start - 1) != b"\n"
        self._remember_prefix()

    def read(self, now: int) -> tuple[list[Line], bool]:
        """The lines completed since, of one chunk at most; and whether there is more to read."""
        lines: list[Line] = []
        if self._was_replaced():
            lines += self.flush()
            self.generation = max(now, self.generation + 1)
            self._start, self._buffer, self._skipping = 0, b"", False
            self._prefix = (0, 0)
        chunk = os.pread(self._fd, CHUNK, self._start + len(self._buffer))
        if not chunk:
            return lines, False
        if self._prefix[0] < PREFIX:
            self._remember_prefix()
        self._take(chunk, lines)
        return lines, len(chunk) == CHUNK

    def flush(self) -> list[Line]:
        """What has come of the incomplete line, as a line: nothing more is expected of it."""
        if not self.has_partial_line:
            return []
        line = Line(self._start, self.generation, self._buffer)
        self._start += len(self._buffer)
        self._buffer = b""
        return [line]

    def close(self) -> None:
        """Give the descriptor back."""
        with suppress(OSError):
            os.close(self._fd)

    def _take(self, chunk: bytes, lines: list[Line]) -> None:
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            self._end_line(self._buffer + part, lines)
        # A sparse beginning, as of a file truncated under a writer that does not append, is zeros
        # that belong to no line.
        buffer = self._buffer + rest
        if not self._skipping and buffer.startswith(b"\0"):
            stripped = buffer.lstrip(b"\0")
            self._start += len(buffer) - len(stripped)
            buffer = stripped
        if len(buffer) > self._max_line:
            if not self._skipping:
                lines.append(Line(self._start, self.generation, buffer[: self._max_line]))
            self._skipping = True
        if self._skipping:
            self._start += len(buffer)
            buffer = b""
        self._buffer = buffer

    def _end_line(self, content: bytes, lines: list[Line]) -> None:
        if not self._skipping:
            kept = content.lstrip(b"\0").removesuffix(b"\r")[: self._max_line]
            if kept:
                lines.append(Line(self._start, self.generation, kept))
        self._start += len(content) + 1
        self._buffer = b""
        self._skipping = False

    def _was_replaced(self) -> bool:
        """Whether the content we have read is no longer the beginning of the file."""
        position = self._start + len(self._buffer)
        if os.fstat(self._fd).st_size < position:
            return True
        length, checksum = self._prefix
        return length > 0 and zlib.crc32(os.pread(self._fd, length, 0)) != checksum

    def _remember_prefix(self) -> None:
        prefix = os.pread(self._fd, PREFIX, 0)
        self._prefix = (len(prefix), zlib.crc32(prefix))
