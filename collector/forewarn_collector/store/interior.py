"""Interior pages of a SQLite file's tables, made anew from the pages below them.

A broken leaf costs its rows; a broken page above leaves would cost all of theirs. In a file with
`auto_vacuum` each page's parent is known from the pointer map, so that a parent can be checked
against its children, and written again: https://www.sqlite.org/fileformat2.html, 1.6 and 1.8.
"""

from __future__ import annotations

import shutil
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

_TABLE_INTERIOR, _TABLE_LEAF = 5, 13
_OF_BTREE = 5
"""The type of a page in the pointer map that has a parent."""
_ENTRY = 5
_PENDING = 1 << 30
"""The page at this byte is never used."""
_INTERIOR_HEADER, _LEAF_HEADER = 12, 8


class _Pages:
    """The pages of a file, by number from 1."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = file.read(100)
        (size,) = struct.unpack_from(">H", head, 16)
        self.size = 65_536 if size == 1 else size
        self.usable = self.size - head[20]
        self.has_map = struct.unpack_from(">I", head, 52) != (0,)
        self.count = file.seek(0, 2) // self.size
        self.anew: dict[int, bytes] = {}

    def read(self, number: int) -> bytes:
        """A page; empty where there is none."""
        if not 0 < number <= self.count:
            return b""
        if number in self.anew:
            return self.anew[number]
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def children(self) -> dict[int, list[int]]:
        """The pages below each page, as the pointer map tells; none where that is damaged."""
        found: dict[int, list[int]] = defaultdict(list)
        covered = self.usable // _ENTRY
        at = 2
        while at <= self.count:
            place = at + (at == _PENDING // self.size + 1)
            content = self.read(place)
            for nth in range(covered):
                kind, parent = struct.unpack_from(">BI", content, nth * _ENTRY)
                if kind > _OF_BTREE:
                    return {}
                if kind == _OF_BTREE and 1 < parent <= self.count:
                    found[parent].append(place + 1 + nth)
            at += covered + 1
        return found


def interior_pages_anew(path: Path) -> dict[int, bytes]:
    """By number, the interior pages of tables that are not what the pages below them say."""
    with path.open("rb") as file:
        pages = _Pages(file)
        if not pages.has_map:
            return {}
        broken = {
            parent: below
            for parent, below in pages.children().items()
            if _below(pages.read(parent)) != set(below)
        }
        # Those above others that are broken come after them.
        while broken:
            ready = {
                parent: content
                for parent, below in broken.items()
                if (content := _interior(pages, below)) is not None
            }
            if not ready:
                break
            pages.anew |= ready
            for parent in ready:
                del broken[parent]
        return pages.anew


def copy_mended(path: Path, copy: Path, pages: Mapping[int, bytes]) -> None:
    """Copy a file, with these pages in the place of its own."""
    shutil.copyfile(path, copy)
    with copy.open("r+b") as file:
        for number, content in pages.items():
            file.seek((number - 1) * len(content))
            file.write(content)


def _below(page: bytes) -> set[int]:
    """The children that an interior page names, of a table or of an index."""
    if not page or page[0] not in (_TABLE_INTERIOR, 2):
        return set()
    try:
        (last,) = struct.unpack_from(">I", page, 8)
        return {last, *(struct.unpack_from(">I", page, cell)[0] for cell in _cells(page))}
    except struct.error:
        return set()


def _cells(page: bytes) -> Sequence[int]:
    (count,) = struct.unpack_from(">H", page, 3)
    header = _INTERIOR_HEADER if page[0] in (_TABLE_INTERIOR, 2) else _LEAF_HEADER
    return struct.unpack_from(f">{count}H", page, header)


def _interior(pages: _Pages, below: Sequence[int]) -> bytes | None:
    """A page above these, as far as they can be read; None where they are of no table."""
    ends = {number: end for number in below if (end := _last_rowid(pages, number)) is not None}
    ordered = sorted(ends, key=ends.__getitem__)
    if not ordered:
        return None
    cells = [struct.pack(">I", number) + _varint(ends[number]) for number in ordered[:-1]]
    begin = pages.usable - sum(map(len, cells))
    places, at = [], pages.usable
    for cell in cells:
        at -= len(cell)
        places.append(at)
    pointers = struct.pack(f">{len(places)}H", *places)
    if _INTERIOR_HEADER + len(pointers) > begin:
        return None
    head = struct.pack(">BHHHBI", _TABLE_INTERIOR, 0, len(cells), begin & 0xFFFF, 0, ordered[-1])
    room = b"\0" * (begin - len(head) - len(pointers))
    tail = b"\0" * (pages.size - pages.usable)
    return head + pointers + room + b"".join(reversed(cells)) + tail


def _last_rowid(pages: _Pages, number: int) -> int | None:
    """The greatest rowid below a page of a table; None where it cannot be read."""
    seen = 0
    page = pages.read(number)
    try:
        while page and page[0] == _TABLE_INTERIOR and seen < 20:
            seen += 1
            page = pages.read(struct.unpack_from(">I", page, 8)[0])
        if not page or page[0] != _TABLE_LEAF:
            return None
        at = _cells(page)[-1]
        _, length = _read_varint(page, at)
        return _read_varint(page, at + length)[0]
    except (struct.error, IndexError):
        return None


def _read_varint(page: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, seven bits in each but the ninth, and how many they are."""
    value = 0
    for nth in range(8):
        byte = page[at + nth]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, nth + 1
    value = value << 8 | page[at + 8]
    return value - (1 << 64) if value >> 63 else value, 9


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    if value >> 56:
        tail = bytes([value & 0xFF])
        value >>= 8
        return bytes(value >> 7 * nth & 0x7F | 0x80 for nth in range(7, -1, -1)) + tail
    count = max(-(-value.bit_length() // 7), 1)
    parts = [value >> 7 * nth & 0x7F for nth in range(count - 1, -1, -1)]
    return bytes([*(part | 0x80 for part in parts[:-1]), parts[-1]])
