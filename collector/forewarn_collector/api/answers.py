"""Answers to queries as JSON bytes, piece by piece: whole blocks of series at once.

Source: prometheus/prometheus `web/api/v1/json_codec.go` and `util/jsonutil/marshal.go`. A piece is
made within a few milliseconds, so that a thread that makes them never holds up others for longer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from forewarn_collector.promql import Result, ValueType, plain_float
from forewarn_collector.store import Floats, Ints

BLOCK_CELLS = 5_000
"""Values that become one piece of JSON: some hundred kilobytes in a millisecond or two."""
_BLOCK_ITEMS = 1_000

_SMALLEST_PLAIN = 1e-6
_LARGEST_PLAIN = 1e21
# Beyond these orjson's spelling may be another one than Go's.
_SMALLEST_SAME = 1e-5
_LARGEST_SAME = 1e15


def json_bytes(value: Any) -> bytes:
    """Compact JSON in UTF-8; what is no Unicode in a label becomes a question mark."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an unpaired surrogate, or an integer of more than 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def time_text(milliseconds: int) -> str:
    """A time as Prometheus' JSON has it: seconds, with three decimals unless they are zeros."""
    sign = "-" if milliseconds < 0 else ""
    whole, fraction = divmod(abs(milliseconds), 1000)
    return f"{sign}{whole}.{fraction:03d}" if fraction else f"{sign}{whole}"


def float_text(value: float) -> str:
    """A value as Prometheus' JSON has it: the shortest digits, with an exponent where far off."""
    size = abs(value)
    if math.isfinite(value) and size and not _SMALLEST_PLAIN <= size < _LARGEST_PLAIN:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent}"
    return plain_float(value)


def float_texts(values: Floats) -> list[bytes]:
    """`float_text` of each of `values: float64[n]`."""
    if not len(values):
        return []
    written = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    # A comma at the end, too, so that every whole number loses its ".0".
    texts = (written[1:-1] + b",").replace(b".0,", b",").split(b",")
    texts.pop()
    sizes = np.abs(values)
    same = (sizes == 0) | ((sizes >= _SMALLEST_SAME) & (sizes < _LARGEST_SAME))
    for place in np.flatnonzero(~same).tolist():
        texts[place] = _odd_text(float(values[place]))
    return texts


@lru_cache(maxsize=4096)
def _odd_text(value: float) -> bytes:
    """A value that orjson may spell in its own way; a series often repeats it."""
    return float_text(value).encode()


def enveloped_pieces(
    data: Iterable[bytes], warnings: Sequence[str] = (), infos: Sequence[str] = ()
) -> Iterator[bytes]:
    """The envelope of an answer that worked, around the JSON of its data."""
    yield b'{"status":"success","data":'
    yield from data
    for name, texts in ((b"warnings", warnings), (b"infos", infos)):
        if texts:
            yield b',"%b":%b' % (name, json_bytes(list(texts)))
    yield b"}"


def list_pieces(items: Sequence[Any]) -> Iterator[bytes]:
    """A list, in blocks of its items."""
    yield b"["
    for start in range(0, len(items), _BLOCK_ITEMS):
        block = json_bytes(items[start : start + _BLOCK_ITEMS])[1:-1]
        yield block if start == 0 else b"," + block
    yield b"]"


def result_pieces(
    result: Result, rows: Ints, *, instant: bool, stats: Any = None
) -> Iterator[bytes]:
    """The data of a query's answer: these rows of the result, in this order."""
    yield b'{"resultType":"%b","result":' % result.kind.value.encode()
    match result.kind:
        case ValueType.STRING:
            yield b"[%b,%b]" % (_time(result.times[0]), json_bytes(result.text))
        case ValueType.SCALAR if instant:
            value = plain_float(float(result.values[0, 0])).encode()
            yield b'[%b,"%b"]' % (_time(result.times[0]), value)
        case ValueType.VECTOR if instant:
            yield from _vector(result, rows)
        case _:
            yield from _matrix(result, rows)
    if stats is not None:
        yield b',"stats":' + json_bytes(stats)
    yield b"}"


def _vector(result: Result, rows: Ints) -> Iterator[bytes]:
    opening = b',"value":[%b,"' % _time(result.times[0])
    between = b"["
    for start in range(0, len(rows), BLOCK_CELLS):
        block = rows[start : start + BLOCK_CELLS]
        texts = float_texts(result.values[block, 0])
        labels = [json_bytes(dict(result.labels[row])) for row in block.tolist()]
        heads = [b'"]},{"metric":' + metric + opening for metric in labels]
        heads[0] = between + heads[0].removeprefix(b'"]},')
        between = b","
        yield _interleaved(heads, texts) + b'"]}'
    yield b"[]" if not len(rows) else b"]"


def _matrix(result: Result, rows: Ints) -> Iterator[bytes]:
    steps = len(result.times)
    openings = _openings(result.times)
    table = np.array(openings, dtype=object)
    size = max(BLOCK_CELLS // max(steps, 1), 1)
    between = b"["
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        present = result.present[block]
        counts = present.sum(axis=1)
        texts = float_texts(result.values[block][present])
        if len(texts) == present.size:
            parts = openings * len(block)
        else:
            parts = table[np.nonzero(present)[1]].tolist()
        # Each series' first opening also ends the series before it.
        firsts = np.cumsum(counts) - counts
        for row, first in zip(block.tolist(), firsts.tolist(), strict=True):
            metric = json_bytes(dict(result.labels[row]))
            parts[first] = b'"]]},{"metric":%b,"values":[%b' % (metric, parts[first][3:])
        parts[0] = between + parts[0].removeprefix(b'"]]},')
        between = b","
        yield _interleaved(parts, texts) + b'"]]}'
    yield b"[]" if not len(rows) else b"]"


def _openings(times: Ints) -> list[bytes]:
    """What stands before each step's value, the end of the value before it included."""
    seconds, fractions = np.divmod(times, 1000)
    if not len(times):
        return []
    if not fractions.any():
        written = orjson.dumps(seconds, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        return (b'"],[' + written.replace(b",", b',"|"],[') + b',"').split(b"|")
    digits = len(str(times.max()))
    if times.min() < 10 ** max(digits - 1, 3):
        return [b'"],[%b,"' % _time(time) for time in times.tolist()]
    # All are as long: rows of a table of bytes, with room for a point.
    written = orjson.dumps(np.ascontiguousarray(times), option=orjson.OPT_SERIALIZE_NUMPY)
    plain = np.frombuffer(written[1:-1] + b",", dtype=np.uint8).reshape(-1, digits + 1)
    table = np.empty((len(times), digits + 7), dtype=np.uint8)
    whole = 4 + digits - 3
    table[:, :4] = np.frombuffer(b'"],[', dtype=np.uint8)
    table[:, 4:whole] = plain[:, : digits - 3]
    table[:, whole] = ord(".")
    table[:, whole + 1 : -2] = plain[:, digits - 3 : digits]
    table[:, -2:] = np.frombuffer(b',"', dtype=np.uint8)
    openings: list[bytes] = table.view(f"S{digits + 7}").ravel().tolist()
    for place in np.flatnonzero(fractions == 0).tolist():
        openings[place] = openings[place][:whole] + b',"'
    return openings


def _interleaved(heads: Sequence[bytes], texts: Sequence[bytes]) -> bytes:
    """Each head with its text, one after the other: a third of the time of a join of pairs."""
    parts = [b""] * (2 * len(heads))
    parts[0::2] = heads
    parts[1::2] = texts
    return b"".join(parts)


def _time(milliseconds: int) -> bytes:
    return time_text(int(milliseconds)).encode()
