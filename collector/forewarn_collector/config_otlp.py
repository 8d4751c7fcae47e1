"""`otlp:` of collector.yml: what of OTLP metrics becomes labels, under Prometheus' names."""

from __future__ import annotations

from dataclasses import dataclass

from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, texts


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """`promote_resource_attributes` become labels of every series, `promote_scope_metadata` the
    scope's name, version and attributes."""

    promote_resource_attributes: tuple[str, ...] = ()
    promote_scope_metadata: bool = False


def read_otlp(document: Section) -> OtlpSettings:
    """Read the section; problems are noted there."""
    section = document.section("otlp")
    if section is None:
        return OtlpSettings()
    settings = OtlpSettings(
        promote_resource_attributes=section.take("promote_resource_attributes", texts, ()),
        promote_scope_metadata=section.take("promote_scope_metadata", boolean, False),
    )
    section.refuse_unknown()
    return settings
