"""Lines of samples: OpenMetrics 1.0 with timestamps, and what `promtool tsdb dump` prints.

The dump has the metric's name among the labels, Go's escapes and times in milliseconds. Which of
the two a file is, its first sample tells. Source: the OpenMetrics 1.0 specification, the output of
promtool 2.42; names in quotes as in Prometheus' proposal of UTF-8 names (2023-08-21).
"""

from __future__ import annotations

import re
from codecs import decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from forewarn_collector.store import Batch
from forewarn_wire import Labels, is_label_name, is_metric_name, labels_from
from forewarn_wire.labels import METRIC_NAME

_BLOCK = 2_000
"""Lines that are taken together where all is as it was before."""
_BATCH = 200_000
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# Labels that begin with a capital stand before the name. In a value the quote would be escaped.
_DUMP = re.compile(rb'\s*\{[^#]*?\b__name__\s*="')
_PAIR = re.compile(rf'\s*(?:([^\s="{{}},]+)|{_QUOTED})\s*=\s*{_QUOTED}\s*(?:,|$)', re.DOTALL)
_NAME = re.compile(rf"\s*{_QUOTED}\s*(?:,|$)", re.DOTALL)
_SERIES = re.compile(rb'\s*([^\s{]*)\s*(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})?')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_GO_ESCAPE = re.compile(
    r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL
)
_LETTERS = {"n": "\n", '"': '"', "\\": "\\"}
_GO_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_MOST_TIME = 1 << 53
"""Milliseconds: beyond it a float has no place for each of them."""


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that cannot be taken, and why."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


def read_lines(lines: Iterable[bytes], refused: Callable[[LineError], None]) -> Iterator[Batch]:
    """Samples in batches, in the order of the lines; what cannot be taken is told to `refused`.

    What comes after `# EOF` is refused, a file without it is taken as it is.
    """
    reader = _Reader()
    ended = False
    remaining = iter(lines)
    first = 1
    while block := list(islice(remaining, _BLOCK)):
        if ended or not reader.take_known(block):
            for number, line in enumerate(block, first):
                if line.startswith(b"#"):
                    ended = ended or line.rstrip(b"\r\n") == b"# EOF"
                    continue
                if not line.strip():
                    continue
                try:
                    if ended:
                        raise ValueError("it comes after # EOF")
                    reader.take(line)
                except ValueError as error:
                    refused(LineError(number, str(error)))
        first += len(block)
        if len(reader.times) >= _BATCH:
            yield reader.batch()
    if reader.times:
        yield reader.batch()


class _Reader:
    """Collects samples. Series are parsed once and then known by their bytes."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self._values: list[float] = []
        self._owners: list[int] = []
        self._series: list[Labels] = []
        self._known: dict[bytes, int] = {}
        self._dump: bool | None = None

    def take_known(self, lines: Sequence[bytes]) -> bool:
        """Add the samples of lines that are all of known series and well formed; else none."""
        parts = [line.rsplit(None, 2) for line in lines]
        try:
            owners = [self._known[each[0]] for each in parts]
            values = [float(each[1]) for each in parts]
            times = _times([each[2] for each in parts], dump=bool(self._dump))
        except (KeyError, IndexError, ValueError):
            return False
        self._owners += owners
        self._values += values
        self.times += times
        return True

    def take(self, line: bytes) -> None:
        """Add a line's sample. Raises ValueError."""
        if self._dump is None:
            self._dump = _DUMP.match(line) is not None
        parts = line.rsplit(None, 2)
        owner = self._known.get(parts[0]) if len(parts) == 3 else None
        if owner is None:
            parts = _split(line)
            owner = self._known.get(parts[0])
        if owner is None:
            labels = _labels(parts[0], dump=self._dump)
            owner = self._known[parts[0]] = len(self._series)
            self._series.append(labels)
        try:
            value = float(parts[1])
        except ValueError:
            raise ValueError(f"{_shown(parts[1])} is no number") from None
        time = _time(parts[2], dump=self._dump)
        self._values.append(value)
        self.times.append(time)
        self._owners.append(owner)

    def batch(self) -> Batch:
        """What was collected, which is then forgotten."""
        used, owners = np.unique(np.array(self._owners, dtype=np.int64), return_inverse=True)
        batch = Batch(
            [self._series[number] for number in used.tolist()],
            owners.astype(np.int64),
            np.array(self.times, dtype=np.int64),
            np.array(self._values, dtype=np.float64),
        )
        self.times, self._values, self._owners = [], [], []
        if len(self._series) > 4 * _BATCH:
            self._series, self._known = [], {}
        return batch


def _split(line: bytes) -> list[bytes]:
    found = _SERIES.match(line)
    series = line[: found.end()] if found else b""
    # After the value and the time there may be an exemplar.
    rest = line[len(series) :].split(b"#", 1)[0].split()
    if not series.strip() or not rest:
        raise ValueError(f"{_shown(line)} is no sample")
    if len(rest) == 1:
        raise ValueError("it has no timestamp")
    if len(rest) > 2:
        raise ValueError(f"{_shown(rest[2])} is one field too many")
    return [series.strip(), *rest]


def _time(text: bytes, *, dump: bool) -> int:
    try:
        time = int(text) if dump else round(float(text) * 1000)
    except (ValueError, OverflowError):
        unit = "milliseconds" if dump else "seconds"
        raise ValueError(f"{_shown(text)} is no time in {unit}") from None
    if abs(time) > _MOST_TIME:
        raise ValueError(f"the time {_shown(text)} is out of range")
    return time


def _times(texts: Sequence[bytes], *, dump: bool) -> list[int]:
    """As `_time`, of many."""
    if dump:
        times = list(map(int, texts))
        if max(times) > _MOST_TIME or min(times) < -_MOST_TIME:
            raise ValueError("a time is out of range")
        return times
    found = np.rint(np.array(list(map(float, texts))) * 1000)
    if not (np.abs(found) <= _MOST_TIME).all():
        raise ValueError("a time is out of range")
    whole: list[int] = found.astype(np.int64).tolist()
    return whole


def _labels(series: bytes, *, dump: bool) -> Labels:
    try:
        text = series.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: {error}") from None
    name, brace, inner = text.partition("{")
    pairs: list[tuple[str, str]] = [(METRIC_NAME, name.strip())] if name.strip() else []
    plain = [name.strip()] if name.strip() and not is_metric_name(name.strip()) else []
    at = 0
    body = inner.rstrip()[:-1].rstrip() if brace else ""
    quoted_name = _NAME.match(body)
    if quoted_name is not None:
        pairs.append((METRIC_NAME, _unescaped(quoted_name[1], dump=dump)))
        at = quoted_name.end()
    while at < len(body):
        found = _PAIR.match(body, at)
        if found is None:
            raise ValueError(f"its labels cannot be read from {body[at : at + 40]!r} on")
        if found[1] is not None and not is_label_name(found[1]):
            plain.append(found[1])
        each = found[1] if found[1] is not None else _unescaped(found[2], dump=dump)
        pairs.append((each, _unescaped(found[3], dump=dump)))
        at = found.end()
    names = [each for each, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a label stands there twice")
    if not dict(pairs).get(METRIC_NAME):
        raise ValueError("it has no name")
    if plain or "" in names:
        raise ValueError(f"{(plain or [''])[0]!r} is no valid name without quotes")
    return labels_from((each, value) for each, value in pairs if value)


def _unescaped(text: str, *, dump: bool) -> str:
    if "\\" not in text:
        return text
    if dump:
        return _GO_ESCAPE.sub(_go_character, text)
    # What is no escape stays as it is, as in Prometheus.
    return _ESCAPE.sub(lambda found: _LETTERS.get(found[1], found[0]), text)


def _go_character(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "uU":
        return chr(int(code[1:], 16))
    if len(code) > 1:
        # A byte that is no UTF-8, as strconv.Quote writes it.
        number = int(code[1:], 16) if code[0] == "x" else int(code, 8)
        return chr(number) if number < 128 else decode(bytes([number]), "utf-8", "replace")
    return _GO_LETTERS.get(code, code)


def _shown(text: bytes) -> str:
    return repr(text.strip()[:60].decode("utf-8", "replace"))
