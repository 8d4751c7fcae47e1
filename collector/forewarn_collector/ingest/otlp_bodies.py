"""OTLP over HTTP: what a request's headers say of its body, and the bodies of answers.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp. An answer comes in the encoding of its
request; that of an error is a `google.rpc.Status{1: int32 code, 2: string message}`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from forewarn_collector.ingest.compression import ungzip
from forewarn_collector.ingest.limits import Limits, check_size
from forewarn_wire import WireError
from forewarn_wire.protobuf import text

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_HEX_FIELDS = ("traceId", "trace_id", "spanId", "span_id")


class UnsupportedTypeError(WireError):
    """The body's type or encoding is not one that is taken."""


def media_type(content_type: str) -> str:
    """The type without its parameters. Raises UnsupportedTypeError where it is not taken."""
    found = content_type.partition(";")[0].strip().lower()
    if found not in {PROTOBUF, JSON}:
        raise UnsupportedTypeError(
            f"content type {content_type[:100]!r} is not taken; send {PROTOBUF} or {JSON}"
        )
    return found


def uncompressed(body: bytes, content_encoding: str, limits: Limits) -> bytes:
    """The body's content. Raises WireError, UnsupportedTypeError or TooLargeError."""
    check_size(len(body), limits.max_body, "the body")
    match content_encoding.strip().lower():
        case "gzip":
            return ungzip(body, limits.max_decoded)
        case "" | "identity":
            return body
    raise UnsupportedTypeError(
        f"content encoding {content_encoding[:100]!r} is not taken; send gzip or none"
    )


def read_json(body: bytes, message: Message, what: str) -> None:
    """Fill a request from its JSON; `what` names it in errors. Raises WireError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise WireError(f"the body is not an {what} in JSON: it must be an object")
    _hex_to_base64(document)
    try:
        json_format.ParseDict(document, message, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, ValueError) as error:
        raise WireError(f"the body is not an {what} in JSON: {error}") from None


def read_protobuf(body: bytes, message: Message, what: str) -> None:
    """Fill a request from its protobuf; `what` names it in errors. Raises WireError."""
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise WireError(f"the body is not an {what} in protobuf") from None


def encode_answer(message: Message, content_type: str) -> bytes:
    """An answer in the encoding of its request."""
    if media_type(content_type) == JSON:
        return json_format.MessageToJson(message, indent=None).encode()
    return bytes(message.SerializeToString())


def encode_error(reason: str, content_type: str) -> tuple[bytes, str]:
    """An error's body and type: in the encoding of the request, else as plain text."""
    try:
        kind = media_type(content_type)
    except UnsupportedTypeError:
        return f"{reason}\n".encode(), "text/plain"
    if kind == JSON:
        return json.dumps({"message": reason}).encode(), JSON
    return text(2, reason), PROTOBUF


def _hex_to_base64(document: dict[str, Any]) -> None:
    """OTLP writes ids as hexadecimal, protobuf's own mapping to JSON expects base64."""
    waiting: list[Any] = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for name in _HEX_FIELDS:
                if name in item:
                    item[name] = _base64(item[name])
            waiting += item.values()


def _base64(value: Any) -> str:
    try:
        return base64.b64encode(bytes.fromhex(value)).decode()
    except (TypeError, ValueError):
        raise WireError(f"a trace or span id is not hexadecimal: {value!r:.100}") from None
