"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.databases import DATABASES, KINDS


@pytest.fixture(scope="session")
def _databases() -> Iterator[None]:
    yield
    DATABASES.close()


@pytest.fixture(params=KINDS)
def each_database(request: pytest.FixtureRequest, _databases: None) -> Iterator[str]:
    """The test runs once on each kind of database that a ledger may be in."""
    with DATABASES.on(request.param) as kind:
        yield kind
