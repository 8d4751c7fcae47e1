"""The ledger's schema, revision by revision, for Alembic."""
