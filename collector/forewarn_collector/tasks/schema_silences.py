"""The ledger's tables of silences and of alerts that came from outside."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, String, Table, Text

from forewarn_collector.tasks.schema import metadata

silences = Table(
    "silences",
    metadata,
    Column("id", String(36), primary_key=True),
    # [[name, "=" or "!=" or "=~" or "!~", value], ...]
    Column("matchers", JSON, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
)

received_alerts = Table(
    "received_alerts",
    metadata,
    # The id of its row in `alerts`, which is there while it fires.
    Column("id", String(32), primary_key=True),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("generator_url", Text, nullable=False),
    Column("timeout", Boolean, nullable=False),
)
