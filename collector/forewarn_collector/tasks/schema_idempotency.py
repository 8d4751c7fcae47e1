"""The ledger's table of commands that must not be carried out twice."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, String, Table

from forewarn_collector.tasks.schema import metadata

idempotency = Table(
    "idempotency",
    metadata,
    # A digest of the token's name and the key that came with the command.
    Column("id", String(64), primary_key=True),
    # A digest of what was asked for, and what was answered.
    Column("request", String(64), nullable=False),
    Column("answer", JSON, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)
