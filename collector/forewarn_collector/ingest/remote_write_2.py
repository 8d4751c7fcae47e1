"""The walk over a remote write 2.0 body, whose labels are numbers of a table of symbols.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ and prometheus/prometheus
`prompb/io/prometheus/write/v2/types.proto`: `Request{4: repeated string symbols, 5: repeated
TimeSeries}`, `TimeSeries{1: repeated uint32 labels_refs, 2: repeated Sample, 3: repeated
Histogram, 4: repeated Exemplar, 5: Metadata, 6: int64 created_timestamp}`, `Metadata{1: type,
3: help_ref, 4: unit_ref}`. Created timestamps are stepped over, see docs/adr/019.
"""

from __future__ import annotations

from collections import OrderedDict

from forewarn_collector.ingest.limits import Kind, Rejected, check_size
from forewarn_collector.ingest.metadata import MetricMetadata, series_metadata
from forewarn_collector.ingest.protobuf import LENGTH, VARINT, fields, varint
from forewarn_collector.ingest.samples import Noted
from forewarn_collector.ingest.series import Known, SeriesCache
from forewarn_wire import Labels, WireError, metric_name

_TABLES_KEPT = 1_024
_BYTES_KEPT = 64 << 20
_LABELS_REFS, _SAMPLES, _HISTOGRAMS, _EXEMPLARS, _METADATA = range(1, 6)
_UINT32 = 0xFFFF_FFFF


class _Entry:
    """A series of one symbol table, and the fields behind its samples when it was met last."""

    __slots__ = ("family", "known", "rest")

    def __init__(
        self, known: Known, rest: bytes, family: tuple[str, MetricMetadata] | None
    ) -> None:
        self.known = known
        self.rest = rest
        self.family = family


class SymbolTable:
    """The symbols of a body, and what series were made of them."""

    def __init__(self, message: bytes) -> None:
        """Take fields of symbols; one that is not UTF-8 is None."""
        self.symbols: list[str | None] = []
        self.entries: dict[bytes, _Entry] = {}
        for _, _, _, payload, after in fields(message, 0, len(message)):
            try:
                self.symbols.append(message[payload:after].decode())
            except UnicodeDecodeError:
                self.symbols.append(None)

    def text(self, reference: int) -> str:
        """A symbol for people to read; empty where there is none."""
        return (self.symbols[reference] or "") if reference < len(self.symbols) else ""

    def texts(self, references: list[int]) -> tuple[str, ...] | Rejected:
        """What a series' references stand for, names and values by turns, or why it is refused."""
        count = len(self.symbols)
        beyond = [reference for reference in references if reference >= count]
        subject = ", ".join(repr(self.text(reference)) for reference in references[:8])
        if beyond:
            reason = f"labels_refs has {beyond[0]}, but there are {count} symbols"
            return Rejected(Kind.BAD_REFERENCE, subject, reason)
        if len(references) % 2:
            reason = f"labels_refs has {len(references)} elements; a name lacks its value"
            return Rejected(Kind.BAD_REFERENCE, subject, reason)
        texts = [self.symbols[reference] for reference in references]
        if None in texts:
            return Rejected(Kind.BAD_ENCODING, subject, "a label is not valid UTF-8")
        return tuple(text for text in texts if text is not None)


class SymbolTables:
    """The tables met last, by their bytes; within bounds. Not thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Labels, bytes], SymbolTable] = OrderedDict()
        self._nbytes = 0

    def table(self, extra: Labels, message: bytes) -> SymbolTable:
        """The table of those bytes, for series that get the `extra` labels."""
        key = (extra, message)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = SymbolTable(message)
            self._nbytes += len(message)
            while len(self._kept) > _TABLES_KEPT or self._nbytes > _BYTES_KEPT:
                (_, gone), _ = self._kept.popitem(last=False)
                self._nbytes -= len(gone)
        else:
            self._kept.move_to_end(key)
        return found


class Walk2:
    """One pass over a body of remote write 2.0."""

    def __init__(self, noted: Noted, cache: SeriesCache, tables: SymbolTables) -> None:
        self._noted = noted
        self._cache = cache
        self._tables = tables
        self._written_out = 0

    def run(self) -> None:
        """Find the symbols and where each series is; then note the series."""
        noted = self._noted
        message, end = noted.message, noted.end
        position = 0
        while position < end and message[position] == 0x22:
            size, start = message[position + 1], position + 2
            if size >= 0x80:
                size, start = varint(message, position + 1, end)
            position = start + size
        if position > end:
            raise WireError("truncated: a symbol is longer than the body")
        symbols = message[:position]
        places: list[tuple[int, int]] = []
        while position < end:
            if message[position] == 0x2A:
                size, start = message[position + 1], position + 2
                if size >= 0x80:
                    size, start = varint(message, position + 1, end)
                position = start + size
                places.append((start, position))
            else:
                number, wire_type, begin, payload, after = next(fields(message, position, end))
                if number == 4 and wire_type == LENGTH:
                    symbols += message[begin:after]
                elif number == 5 and wire_type == LENGTH:
                    places.append((payload, after))
                elif number in (1, 3) and wire_type == LENGTH:
                    raise WireError(
                        "this is a remote write 1.0 request, but its Content-Type says 2.0; leave"
                        " out proto= there, or name prometheus.WriteRequest"
                    )
                position = after
        if position > end:
            raise WireError("truncated: a series is longer than the body")
        self._table = self._tables.table(self._cache.extra, symbols)
        for start, stop in places:
            if not self._usual_series(start, stop):
                self._one_series(start, stop)

    def _usual_series(self, start: int, stop: int) -> bool:
        """A known series, its samples, then the fields that were there before; else False."""
        noted = self._noted
        message = noted.message
        position = start + 2 + message[start + 1]
        entry = self._table.entries.get(message[start:position])
        if entry is None or position > stop:
            return False
        found = noted.usual_samples(position, stop)
        if found is None or message[found[0] : stop] != entry.rest:
            return False
        noted.add(entry.known, found[1], found[2])
        if entry.family is not None:
            noted.metadata[entry.family[0]] = entry.family[1]
        return True

    def _one_series(self, start: int, stop: int) -> None:
        """Any series whatever: fields in any order, any number of samples."""
        noted = self._noted
        message = noted.message
        references: list[int] = []
        samples: list[tuple[int, int]] = []
        metadata: list[bytes] = []
        histograms = exemplars = 0
        order: list[tuple[int, int]] = []
        for number, wire_type, begin, payload, after in fields(message, start, stop):
            order.append((number, begin))
            if number == _LABELS_REFS and wire_type == VARINT:
                references.append(varint(message, payload, after)[0] & _UINT32)
            elif wire_type != LENGTH:
                continue
            elif number == _LABELS_REFS:
                references += _packed(message, payload, after)
            elif number == _SAMPLES:
                samples.append(noted.sample(payload, after))
            elif number == _METADATA:
                metadata.append(message[payload:after])
            histograms += number == _HISTOGRAMS
            exemplars += number == _EXEMPLARS
        noted.exemplars += exemplars
        noted.regular &= not exemplars
        known = self._known(references)
        if isinstance(known, Rejected):
            noted.refuse(known)
            return
        if histograms:
            noted.refuse_histograms(histograms, known)
        noted.take(known, samples)
        family = self._family(b"".join(metadata), known)
        if family is not None:
            noted.metadata[family[0]] = family[1]
        if samples and not histograms and not exemplars:
            self._remember(order, start, stop, _Entry(known, b"", family))

    def _known(self, references: list[int]) -> Known | Rejected:
        texts = self._table.texts(references)
        if isinstance(texts, Rejected):
            return texts
        # Few symbols that are referred to often would make very much of labels.
        self._written_out += sum(map(len, texts))
        check_size(self._written_out, self._noted.limits.max_decoded, "the labels written out")
        return self._cache.learn_texts(texts)

    def _family(self, metadata: bytes, known: Known) -> tuple[str, MetricMetadata] | None:
        found = {1: 0, 3: 0, 4: 0}
        for number, wire_type, _, payload, after in fields(metadata, 0, len(metadata)):
            if number in found and wire_type == VARINT:
                found[number] = varint(metadata, payload, after)[0] & _UINT32
        text = self._table.text
        return series_metadata(metric_name(known.labels), found[1], text(found[3]), text(found[4]))

    def _remember(self, order: list[tuple[int, int]], start: int, stop: int, entry: _Entry) -> None:
        """Keep a series whose fields come as they are numbered, with one field of references."""
        message = self._noted.message
        numbers = [number for number, _ in order]
        samples = numbers.count(_SAMPLES)
        usual = [_LABELS_REFS] + [_SAMPLES] * samples
        refs_end = order[1][1]
        if (
            numbers[: samples + 1] == usual
            and numbers.count(_LABELS_REFS) == 1
            and message[start] == 0x0A
            and message[start + 1] == refs_end - start - 2
        ):
            entry.rest = message[order[samples + 1][1] : stop] if len(order) > samples + 1 else b""
            self._table.entries[message[start:refs_end]] = entry


def _packed(message: bytes, position: int, end: int) -> list[int]:
    """The numbers of a packed field of uint32."""
    found = []
    while position < end:
        number, position = varint(message, position, end)
        found.append(number & _UINT32)
    return found
