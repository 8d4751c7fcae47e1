"""OTLP attributes to label pairs: values as text in Go's way, names as Prometheus has them.

Source: opentelemetry-proto `common/v1/common.proto`; the texts are those of the OpenTelemetry
Collector's `Value.AsString`, which Prometheus uses.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from forewarn_collector.ingest.otlp_names import label_name
from forewarn_collector.ingest.protobuf import LENGTH, fields
from forewarn_wire import WireError


def attributes_from(message: bytes) -> dict[str, str]:
    """The attributes of concatenated `KeyValue` fields as texts. Raises WireError.

    Of a key that is there twice the last one counts.
    """
    found: dict[str, str] = {}
    for _, _, _, payload, end in fields(message, 0, len(message)):
        try:
            pair = KeyValue.FromString(message[payload:end])
        except DecodeError:
            raise WireError("an attribute is not a KeyValue in protobuf") from None
        found[pair.key] = text_of(pair.value)
    return found


def whole_fields(message: bytes, wanted: int) -> bytes:
    """The fields of that number, tags included, one behind the other. Raises WireError."""
    return b"".join(
        message[begin:after]
        for number, wire_type, begin, _, after in fields(message, 0, len(message))
        if number == wanted and wire_type == LENGTH
    )


def labels_from_attributes(attributes: Mapping[str, str]) -> dict[str, str] | str:
    """The labels that attributes become, or the name of one that cannot be a label.

    Of attributes whose names become the same the values are joined, as in Prometheus.
    """
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        name = label_name(key)
        if not name:
            return key
        value = attributes[key]
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels


def text_of(value: Any) -> str:
    """An `AnyValue` as text; what is not plain becomes JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, str):
        return plain
    if isinstance(plain, float):
        return _number(plain)
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    # Go's encoder escapes them wherever they stand.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def float_text(value: float) -> str:
    """A number as `le` and `quantile` have it: the shortest digits, never an exponent."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else np.format_float_positional(value, trim="-")


def _number(value: float) -> str:
    """A number as JSON has it in Go: an exponent where it is very small or very large."""
    if not math.isfinite(value):
        return float_text(value) if value != math.inf else "+Inf"
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return float_text(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign, digits = exponent[0], exponent[1:].lstrip("0")
    return f"{mantissa.removesuffix('.0')}e{sign}{digits}"


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    match kind:
        case "array_value":
            return [_within(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: _within(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return None
    return getattr(value, kind)


def _within(value: Any) -> Any:
    """A value within JSON, where a whole number has no fraction."""
    plain = _plain(value)
    if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1e21:
        return int(plain)
    return plain
