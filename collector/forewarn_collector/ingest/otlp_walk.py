"""One pass over an OTLP metrics request in protobuf.

Source: opentelemetry-proto `metrics/v1/metrics.proto`; the numbers of fields stand beside their
names below. Senders write fields in the order of their numbers, so that the usual number is
`start 2?, time 3, as_double 4 | as_int 6, attributes 7*`, and what follows its value is a key by
which its series is found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    SummaryDataPoint,
)

from forewarn_collector.config_otlp import OtlpSettings
from forewarn_collector.ingest.limits import Kind as RejectedKind
from forewarn_collector.ingest.limits import Limits, Rejected, check_rejected
from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.ingest.otlp_attributes import attributes_from, whole_fields
from forewarn_collector.ingest.otlp_histograms import (
    NO_BUCKETS,
    Buckets,
    explicit_buckets,
    exponential_buckets,
)
from forewarn_collector.ingest.otlp_names import Kind
from forewarn_collector.ingest.otlp_points import Point, read_point
from forewarn_collector.ingest.otlp_samples import PADDING, Columns, Noted
from forewarn_collector.ingest.otlp_series import (
    MetricSeries,
    OtlpCache,
    ResourceSeries,
    Usual,
    scope_labels,
)
from forewarn_collector.ingest.protobuf import LENGTH, VARINT, fields, varint
from forewarn_collector.ingest.series import Known, show
from forewarn_collector.store import Batch, Increases
from forewarn_wire import STALE_NAN, WireError

_GAUGE, _SUM, _HISTOGRAM, _EXPONENTIAL, _SUMMARY = 5, 7, 9, 10, 11
_DELTA, _CUMULATIVE = 1, 2
_TIME, _DOUBLE, _INTEGER, _START = 0x19, 0x21, 0x31, 0x11
_STRINGS = (0x0A, 0x12, 0x1A)
"""How the fields of a metric's name, description and unit begin."""
_LONGEST_TAIL = 4
"""Behind a sum's points stand two bytes for its temporality, and two if it is monotonic."""

_Span = tuple[int, int]


class Walk:
    """Notes the samples of a message; what is refused is counted by points."""

    def __init__(
        self,
        message: bytes,
        cache: OtlpCache,
        limits: Limits,
        settings: OtlpSettings,
    ) -> None:
        self._end = len(message)
        self._message = message + PADDING
        self._cache = cache
        self._limits = limits
        self._settings = settings
        self._plain = Noted()
        self._delta = Noted()
        self._marks: list[tuple[ResourceSeries, tuple[_Span, _Span], tuple[_Span, _Span]]] = []
        self.rejected: list[Rejected] = []
        self.refused_points = 0
        self.metadata: dict[str, MetricMetadata] = {}
        self.exemplars = 0

    def run(self) -> None:
        """Walk. Raises WireError where it is not such a message, or too much is refused."""
        for start, stop in self._parts(0, self._end, 1):
            resource = b""
            scopes: list[_Span] = []
            for number, wire_type, _, payload, after in fields(self._message, start, stop):
                if number == 1 and wire_type == LENGTH:
                    resource = self._message[payload:after]
                elif number == 2 and wire_type == LENGTH:
                    scopes.append((payload, after))
            for span in scopes:
                self._scope(resource, *span)

    def columns(self) -> tuple[Batch, Increases]:
        """What was noted, and `target_info` of the resources that had any points."""
        plain, delta = (Columns(self._message, noted) for noted in (self._plain, self._delta))
        for columns, noted in ((plain, self._plain), (delta, self._delta)):
            for place in columns.usual_without_time().tolist():
                self._refuse(RejectedKind.BAD_TIME, _shown(noted.usual[place]), _NO_TIME)
        infos = Noted()
        for resource, before, after in self._marks:
            if isinstance(resource.target_info, Known):
                times = plain.span(before[0], after[0]) + delta.span(before[1], after[1])
                if times:
                    infos.add_infos(resource.target_info, min(times), max(times))
        if infos.times:
            self._plain.others += infos.others
            self._plain.times += infos.times
            self._plain.values += infos.values
            plain = Columns(self._message, self._plain)
        return plain.batch(), delta.increases()

    def _scope(self, resource: bytes, start: int, stop: int) -> None:
        message = self._message
        scope = b""
        metrics: list[_Span] = []
        position = start
        while position < stop:
            if message[position] == 0x12:
                size, begin = message[position + 1], position + 2
                if size >= 0x80:
                    size, begin = varint(message, position + 1, stop)
                position = begin + size
                metrics.append((begin, position))
                continue
            number, wire_type, _, payload, position = next(fields(message, position, stop))
            if number == 1 and wire_type == LENGTH:
                scope = message[payload:position]
            elif number == 2 and wire_type == LENGTH:
                metrics.append((payload, position))
        if position > stop:
            raise WireError("truncated: a metric is longer than its scope")
        found = self._resource(resource, scope)
        before = self._plain.mark(), self._delta.mark()
        for span in metrics:
            self._metric(found, *span)
        self._marks.append((found, before, (self._plain.mark(), self._delta.mark())))

    def _resource(self, resource: bytes, scope: bytes) -> ResourceSeries:
        key = resource, scope if self._settings.promote_scope_metadata else b""
        found = self._cache.resources.get(key)
        if found is None:
            attributes = attributes_from(whole_fields(resource, 1))
            self._cache.kept += 1
            found = self._cache.resources[key] = ResourceSeries(
                self._cache, attributes, scope_labels(key[1]), self._settings
            )
            if isinstance(found.target_info, Rejected):
                self._note_refused(found.target_info, 0)
        return found

    def _metric(self, resource: ResourceSeries, start: int, stop: int) -> None:
        usual = self._usual(start, stop)
        if usual is not None:
            known = resource.usual.get(usual[0])
            if known is not None:
                data, metric, delta = known
                self.metadata[metric.name] = metric.metadata
                _READERS[data](self, metric, usual[1], delta)
                return
        found = self._any_metric(resource, start, stop)
        if found is not None and usual is not None:
            self._cache.kept += 1
            resource.usual[usual[0]] = found

    def _usual(self, start: int, stop: int) -> tuple[bytes, list[_Span]] | None:
        """Of a metric whose fields are in order and short: all that is not points, and these.

        None for any other, which must be read field by field.
        """
        message = self._message
        position = start
        # A field has two bytes at least, which a truncated message need not have.
        while position + 1 < stop and message[position] in _STRINGS:
            size = message[position + 1]
            if size >= 0x80:
                return None
            position += 2 + size
        if position + 1 >= stop:
            return None
        size, begin = message[position + 1], position + 2
        if size >= 0x80:
            size, begin = varint(message, position + 1, stop)
        head = message[start : position + 1]
        if begin + size != stop:
            return None
        points: list[_Span] = []
        position = begin
        while position + 1 < stop and message[position] == 0x0A:
            size, begin = message[position + 1], position + 2
            if size >= 0x80:
                size, begin = varint(message, position + 1, stop)
            position = begin + size
            points.append((begin, position))
        if position > stop or stop - position > _LONGEST_TAIL:
            return None
        return head + message[position:stop], points

    def _any_metric(self, resource: ResourceSeries, start: int, stop: int) -> Usual | None:
        """Read a metric field by field; what is to be kept of it where it is as it should be."""
        head: list[bytes] = []
        data = 0
        span = (stop, stop)
        for number, wire_type, begin, payload, after in fields(self._message, start, stop):
            if wire_type != LENGTH:
                continue
            if number in (1, 2, 3):
                head.append(self._message[begin:after])
            elif number in _READERS:
                data, span = number, (payload, after)
        if not data:
            return None
        points: list[_Span] = []
        temporality = monotonic = 0
        for number, wire_type, _, payload, after in fields(self._message, *span):
            if number == 1 and wire_type == LENGTH:
                points.append((payload, after))
            elif number == 2 and wire_type == VARINT:
                temporality = varint(self._message, payload, after)[0]
            elif number == 3 and wire_type == VARINT:
                monotonic = varint(self._message, payload, after)[0]
        kind = _kind(data, bool(monotonic))
        metric = self._series(resource, b"".join(head), kind)
        if not points:
            return None
        delta = temporality == _DELTA
        if data in (_SUM, _HISTOGRAM, _EXPONENTIAL) and temporality not in (_DELTA, _CUMULATIVE):
            named = temporality or "unspecified"
            reason = f"its aggregation temporality is {named}; it must be cumulative or delta"
            self._refuse(RejectedKind.TEMPORALITY, metric.given_name, reason, len(points))
        elif data == _EXPONENTIAL and temporality == _DELTA:
            self._refuse(
                RejectedKind.TEMPORALITY, metric.given_name, _DELTA_EXPONENTIAL, len(points)
            )
        elif not metric.name:
            reason = "nothing of its name can be kept: it has no letter, digit or colon"
            self._refuse(RejectedKind.BAD_NAME, metric.given_name, reason, len(points))
        else:
            self.metadata[metric.name] = metric.metadata
            _READERS[data](self, metric, points, delta)
            return data, metric, delta
        return None

    def _series(self, resource: ResourceSeries, head: bytes, kind: Kind) -> MetricSeries:
        metric = resource.metrics.get((head, kind))
        if metric is None:
            texts = {1: "", 2: "", 3: ""}
            for number, _, _, payload, after in fields(head, 0, len(head)):
                texts[number] = head[payload:after].decode(errors="replace")
            name, help_text, unit = texts.values()
            self._cache.kept += 1
            metric = resource.metrics[head, kind] = MetricSeries(
                resource, name, unit, help_text, kind
            )
        return metric

    def _numbers(self, metric: MetricSeries, points: list[_Span], delta: bool) -> None:
        message, known_series = self._message, metric.known
        noted = self._delta if delta else self._plain
        series, places = noted.usual, noted.places
        for start, stop in points:
            begin = start + 9 if message[start] == _START else start
            rest = begin + 18
            if message[begin] == _TIME and rest <= stop and (begin > start or not delta):
                kind = message[begin + 9]
                if kind in (_DOUBLE, _INTEGER):
                    known = known_series.get(message[rest:stop])
                    if known is not None:
                        series.append(known)
                        places.append(begin + 10 if kind == _DOUBLE else -begin - 10)
                        continue
            self._number(metric, read_point(message, start, stop, 7), noted)

    def _number(self, metric: MetricSeries, point: Point, noted: Noted) -> None:
        self.exemplars += point.counts.get(5, 0)
        known = metric.one(point.attributes)
        if isinstance(known, Rejected):
            self._note_refused(known)
        elif not point.time:
            self._refuse(RejectedKind.BAD_TIME, _shown(known), _NO_TIME)
        elif point.has_no_value(8):
            self._plain.add(known, 0, point.time, STALE_NAN)
        elif (value := point.double(4, point.integer(6))) is None:
            reason = "it has no value; a point has as_double or as_int"
            self._refuse(RejectedKind.NO_VALUE, _shown(known), reason)
        else:
            noted.add(known, point.start, point.time, value)

    def _histograms(self, metric: MetricSeries, points: list[_Span], delta: bool) -> None:
        noted = self._delta if delta else self._plain
        for span in points:
            point = read_point(self._message, *span, 9)
            self.exemplars += point.counts.get(8, 0)
            bounds, counts = point.doubles(7), point.unsigneds(6)
            stale = point.has_no_value(10)
            # What did not happen may come without counts for its bounds.
            buckets = explicit_buckets(bounds, counts) if not stale or len(counts) else NO_BUCKETS
            count = float(point.unsigned(4))
            self._buckets(metric, point, buckets, (count, point.double(5)), stale, noted)

    def _exponentials(self, metric: MetricSeries, points: list[_Span], delta: bool) -> None:
        for start, stop in points:
            point = read_point(self._message, start, stop, 1)
            try:
                given = ExponentialHistogramDataPoint.FromString(self._message[start:stop])
            except DecodeError:
                raise WireError("a point is not one of an exponential histogram") from None
            self.exemplars += len(given.exemplars)
            buckets = exponential_buckets(given)
            total = given.sum if given.HasField("sum") else None
            stale = point.has_no_value(10)
            self._buckets(metric, point, buckets, (float(given.count), total), stale, self._plain)

    def _buckets(
        self,
        metric: MetricSeries,
        point: Point,
        buckets: Buckets | str,
        count_and_sum: tuple[float, float | None],
        stale: bool,
        noted: Noted,
    ) -> None:
        if isinstance(buckets, str):
            self._refuse(RejectedKind.BAD_HISTOGRAM, metric.given_name, buckets)
            return
        several = metric.histogram(point.attributes, buckets.bounds.tobytes())
        if isinstance(several, Rejected):
            self._note_refused(several)
            return
        if not point.time:
            self._refuse(RejectedKind.BAD_TIME, _shown(several[-1]), _NO_TIME)
            return
        count, total = count_and_sum
        values = [*buckets.totals.tolist(), count, count]
        if total is not None:
            values.append(total)
        if stale:
            noted, values = self._plain, [STALE_NAN] * len(several)
        noted.add_all(several[: len(values)], point.start, point.time, values)

    def _summaries(self, metric: MetricSeries, points: list[_Span], delta: bool) -> None:
        del delta  # A summary has no temporality.
        for start, stop in points:
            point = read_point(self._message, start, stop, 7)
            try:
                given = SummaryDataPoint.FromString(self._message[start:stop])
            except DecodeError:
                raise WireError("a point is not one of a summary") from None
            quantiles = np.array([item.quantile for item in given.quantile_values], dtype="<f8")
            several = metric.summary(point.attributes, quantiles.tobytes())
            if isinstance(several, Rejected):
                self._note_refused(several)
            elif not point.time:
                self._refuse(RejectedKind.BAD_TIME, _shown(several[-1]), _NO_TIME)
            else:
                values = [item.value for item in given.quantile_values]
                values += [float(given.count), given.sum]
                if point.has_no_value(8):
                    values = [STALE_NAN] * len(values)
                self._plain.add_all(several, 0, point.time, values)

    def _parts(self, start: int, stop: int, wanted: int) -> list[_Span]:
        return [
            (payload, after)
            for number, wire_type, _, payload, after in fields(self._message, start, stop)
            if number == wanted and wire_type == LENGTH
        ]

    def _refuse(self, kind: RejectedKind, subject: str, reason: str, points: int = 1) -> None:
        self._note_refused(Rejected(kind, subject[:200], reason), points)

    def _note_refused(self, found: Rejected, points: int = 1) -> None:
        self.rejected.append(found)
        self.refused_points += points
        check_rejected(self.rejected, self._limits)


_NO_TIME = "it has no time; set time_unix_nano"
_DELTA_EXPONENTIAL = (
    "exponential histograms with delta temporality are not taken; send cumulative ones, or ones"
    " with explicit bounds"
)
_READERS: dict[int, Callable[[Walk, MetricSeries, list[_Span], bool], None]] = {
    _GAUGE: Walk._numbers,
    _SUM: Walk._numbers,
    _HISTOGRAM: Walk._histograms,
    _EXPONENTIAL: Walk._exponentials,
    _SUMMARY: Walk._summaries,
}


def _kind(data: int, monotonic: bool) -> Kind:
    if data == _SUM:
        return Kind.COUNTER if monotonic else Kind.UP_DOWN_COUNTER
    if data == _GAUGE:
        return Kind.GAUGE
    return Kind.SUMMARY if data == _SUMMARY else Kind.HISTOGRAM


def _shown(known: Known) -> str:
    return show(known.labels)
