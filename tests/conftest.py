"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.databases import DATABASES, KINDS
from support.redmine import Redmine
from support.request_tracker import RequestTracker
from support.trackers.real import REAL


@pytest.fixture(scope="session")
def _databases() -> Iterator[None]:
    yield
    DATABASES.close()


@pytest.fixture(params=KINDS)
def each_database(request: pytest.FixtureRequest, _databases: None) -> Iterator[str]:
    """The test runs once on each kind of database that a ledger may be in."""
    with DATABASES.on(request.param) as kind:
        yield kind


@pytest.fixture(scope="session", autouse=True)
def _real_trackers() -> Iterator[None]:
    yield
    REAL.close()


@pytest.fixture
def request_tracker() -> RequestTracker:
    """The one of all tests: each makes tickets of its own."""
    return REAL.request_tracker


@pytest.fixture
def redmine() -> Redmine:
    """The one of all tests: each makes issues of its own."""
    return REAL.redmine
