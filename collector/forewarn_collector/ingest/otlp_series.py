"""Which series the points of an OTLP metric are samples of, each found once and then kept.

Source: OpenTelemetry's "Prometheus and OpenMetrics Compatibility" and Prometheus' own translation
(storage/remote/otlptranslator): `service.namespace/service.name` is `job`, `service.instance.id`
is `instance`, the other attributes of a resource are labels of `target_info`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forewarn_collector.config_otlp import OtlpSettings
from forewarn_collector.ingest.limits import Kind as RejectedKind
from forewarn_collector.ingest.limits import Rejected
from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.ingest.otlp_attributes import (
    attributes_from,
    float_text,
    labels_from_attributes,
    whole_fields,
)
from forewarn_collector.ingest.otlp_names import Kind, label_name, metric_name, unit_name
from forewarn_collector.ingest.protobuf import LENGTH, fields
from forewarn_collector.ingest.series import Known, SeriesCache, show
from forewarn_wire.labels import METRIC_NAME

TARGET_INFO = "target_info"
_NAMESPACE, _NAME, _INSTANCE = "service.namespace", "service.name", "service.instance.id"
_IDENTIFYING = frozenset({_NAMESPACE, _NAME, _INSTANCE})


class OtlpCache:
    """The resources met, for one set of extra labels; `kept` counts what there is in memory."""

    def __init__(self, series: SeriesCache) -> None:
        self.series = series
        self.resources: dict[tuple[bytes, bytes], ResourceSeries] = {}
        self.kept = 0


def scope_labels(scope: bytes) -> dict[str, str]:
    """As Prometheus' `promote_scope_metadata`, but for the address of the schema. WireError."""
    texts = {1: "", 2: ""}
    for number, wire_type, _, payload, after in fields(scope, 0, len(scope)):
        if number in texts and wire_type == LENGTH:
            texts[number] = scope[payload:after].decode(errors="replace")
    if not texts[1]:
        return {}
    own = attributes_from(whole_fields(scope, 3))
    found = labels_from_attributes({f"otel_scope_{key}": own[key] for key in own})
    named = {"otel_scope_name": texts[1], "otel_scope_version": texts[2]}
    return {**found, **named} if isinstance(found, dict) else named


class ResourceSeries:
    """The series of one resource, and one of its scopes where that is in the labels."""

    def __init__(
        self,
        cache: OtlpCache,
        attributes: Mapping[str, str],
        scope: Mapping[str, str],
        settings: OtlpSettings,
    ) -> None:
        self.metrics: dict[tuple[bytes, Kind], MetricSeries] = {}
        self.usual: dict[bytes, Usual] = {}
        self.cache = cache
        self._scope = scope
        promoted = (
            (label_name(key), attributes[key])
            for key in sorted(settings.promote_resource_attributes)
            if key in attributes
        )
        self._promoted = {name: value for name, value in promoted if name}
        self._identity: dict[str, str] = {}
        if _NAME in attributes:
            namespace = f"{attributes[_NAMESPACE]}/" if _NAMESPACE in attributes else ""
            self._identity["job"] = namespace + attributes[_NAME]
        if _INSTANCE in attributes:
            self._identity["instance"] = attributes[_INSTANCE]
        self.target_info = self._target_info(attributes)

    def labels(self, attributes: bytes) -> dict[str, str] | Rejected:
        """The labels of a point with these attributes, but for the metric's name.

        Raises WireError where the attributes are not protobuf.
        """
        found = labels_from_attributes(attributes_from(attributes))
        if isinstance(found, str):
            reason = f"nothing of the attribute {found[:100]!r} can be a label's name"
            return Rejected(RejectedKind.BAD_NAME, show(self._identity.items()), reason)
        return {**self._promoted, **found, **self._scope, **self._identity}

    def _target_info(self, attributes: Mapping[str, str]) -> Known | Rejected | None:
        """None where there is nothing to say of the target, or nothing to know it by."""
        rest = {key: value for key, value in attributes.items() if key not in _IDENTIFYING}
        if not rest or not self._identity:
            return None
        found = labels_from_attributes(rest)
        if isinstance(found, str):
            reason = f"nothing of the attribute {found[:100]!r} can be a label's name"
            return Rejected(RejectedKind.BAD_NAME, show(self._identity.items()), reason)
        labels = {**found, **self._identity, METRIC_NAME: TARGET_INFO}
        return self.cache.series.learn_pairs(list(labels.items()))


class MetricSeries:
    """The series of one metric of a resource.

    `known` may be read directly; what is not in it goes through the methods.
    """

    def __init__(
        self, resource: ResourceSeries, name: str, unit: str, help_text: str, kind: Kind
    ) -> None:
        self.given_name = name
        self.name = metric_name(name, unit, kind)
        self.metadata = MetricMetadata(kind.prometheus, help_text[:2_048], unit_name(unit)[:2_048])
        self.known: dict[bytes, Known] = {}
        self._many: dict[tuple[bytes, bytes], list[Known]] = {}
        self._resource = resource

    def one(self, attributes: bytes) -> Known | Rejected:
        """The series of a number."""
        known = self.known.get(attributes)
        if known is not None:
            return known
        labels = self._resource.labels(attributes)
        found = labels if isinstance(labels, Rejected) else self._series(labels, self.name)
        if isinstance(found, Known):
            self.known[attributes] = found
            self._resource.cache.kept += 1
        return found

    def histogram(self, attributes: bytes, bounds: bytes) -> list[Known] | Rejected:
        """The series of a histogram: a bucket for each bound (float64 as bytes), `+Inf`, count
        and sum."""
        found = self._many.get((attributes, bounds))
        if found is not None:
            return found
        edges = [float_text(bound) for bound in np.frombuffer(bounds, "<f8").tolist()]
        wanted = [(f"{self.name}_bucket", "le", edge) for edge in (*edges, "+Inf")]
        return self._learn(attributes, bounds, wanted)

    def summary(self, attributes: bytes, quantiles: bytes) -> list[Known] | Rejected:
        """The series of a summary: one for each quantile (float64 as bytes), count and sum."""
        found = self._many.get((attributes, quantiles))
        if found is not None:
            return found
        texts = [float_text(quantile) for quantile in np.frombuffer(quantiles, "<f8").tolist()]
        return self._learn(attributes, quantiles, [(self.name, "quantile", text) for text in texts])

    def _learn(
        self, attributes: bytes, key: bytes, wanted: list[tuple[str, str, str]]
    ) -> list[Known] | Rejected:
        labels = self._resource.labels(attributes)
        if isinstance(labels, Rejected):
            return labels
        several: list[Known] = []
        for name, label, value in wanted:
            found = self._series({**labels, label: value}, name)
            if isinstance(found, Rejected):
                return found
            several.append(found)
        for suffix in ("_count", "_sum"):
            found = self._series(labels, self.name + suffix)
            if isinstance(found, Rejected):
                return found
            several.append(found)
        self._many[attributes, key] = several
        self._resource.cache.kept += len(several)
        return several

    def _series(self, labels: Mapping[str, str], name: str) -> Known | Rejected:
        return self._resource.cache.series.learn_pairs(list({**labels, METRIC_NAME: name}.items()))


Usual = tuple[int, MetricSeries, bool]
"""What is known of a metric by all its bytes but its points: the number of its data's field, its
series, and whether they are increases."""
