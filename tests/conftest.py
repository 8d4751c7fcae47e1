"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.databases import DATABASES, KINDS
from support.redmine import Redmine, running_redmine
from support.request_tracker import RequestTracker, running_request_tracker


@pytest.fixture(scope="session")
def _databases() -> Iterator[None]:
    yield
    DATABASES.close()


@pytest.fixture(params=KINDS)
def each_database(request: pytest.FixtureRequest, _databases: None) -> Iterator[str]:
    """The test runs once on each kind of database that a ledger may be in."""
    DATABASES.kind = request.param
    if request.param == "postgresql":
        DATABASES.server()
    yield request.param
    DATABASES.kind = "sqlite"


@pytest.fixture(scope="session")
def request_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestTracker]:
    """One for all tests: each makes tickets of its own."""
    with running_request_tracker(tmp_path_factory.mktemp("request-tracker")) as server:
        yield server


@pytest.fixture(scope="session")
def redmine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redmine]:
    """One for all tests: each makes issues of its own."""
    with running_redmine(tmp_path_factory.mktemp("redmine")) as server:
        yield server
