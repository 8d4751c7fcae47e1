"""The headers of remote write: which message a request says it is, and what an answer must say.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/, "Protocol": the Content-Type
chooses the message, without `proto` it is 1.0's; 415 makes a sender fall back to another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from forewarn_collector.ingest import Version

_MEDIA_TYPE = "application/x-protobuf"
_MESSAGES = {
    "prometheus.WriteRequest": Version.ONE,
    "io.prometheus.write.v2.Request": Version.TWO,
}
_TAKEN = (
    f"taken are Content-Type {_MEDIA_TYPE} (remote write 1.0) or"
    f" {_MEDIA_TYPE};proto=io.prometheus.write.v2.Request (2.0), with Content-Encoding snappy"
)


def accepted_version(headers: Mapping[str, str]) -> Version | str:
    """Which message the headers announce; where it is none that is taken, the text that says so.

    Senders of before the specification name neither type nor encoding: that is 1.0 with snappy.
    """
    return _accepted(
        headers.get("Content-Type") or _MEDIA_TYPE, headers.get("Content-Encoding") or "snappy"
    )


@lru_cache(maxsize=64)
def _accepted(content_type: str, encoding: str) -> Version | str:
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    if encoding.strip().lower() != "snappy":
        return f"the encoding {encoding[:100]!r} is not taken; {_TAKEN}\n"
    if media_type.lower() != _MEDIA_TYPE:
        return f"the type {content_type[:100]!r} is not taken; {_TAKEN}\n"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto":
            version = _MESSAGES.get(value.strip().strip('"'))
            return version or f"the message {value[:100]!r} is not taken; {_TAKEN}\n"
    return Version.ONE


def written(samples: int) -> dict[str, str]:
    """The headers that say how much is stored; no histogram ever is (docs/adr/009)."""
    return {
        "X-Prometheus-Remote-Write-Samples-Written": str(samples),
        "X-Prometheus-Remote-Write-Histograms-Written": "0",
        "X-Prometheus-Remote-Write-Exemplars-Written": "0",
    }
