"""The fingerprint by which Alertmanager names a set of labels.

Source: prometheus/common `model/fnv.go`, `model/signature.go`: FNV-1a, 64 bits, over the names and
values in the order of the names, each followed by a byte that is in no UTF-8 text.
"""

from __future__ import annotations

from forewarn_wire import Labels

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1
_END = b"\xff"


def fingerprint(labels: Labels) -> str:
    """Sixteen hexadecimal digits; `labels` in the order of their names' bytes."""
    pairs = sorted((name.encode(), value.encode("utf-8", "replace")) for name, value in labels)
    found = _OFFSET
    for byte in b"".join(name + _END + value + _END for name, value in pairs):
        found = ((found ^ byte) * _PRIME) & _MASK
    return f"{found:016x}"
