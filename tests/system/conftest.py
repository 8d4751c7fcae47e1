"""Collectors for all tests that only write to them and read from them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.databases import DATABASES, KINDS
from support.servers import RunningCollector, running_collector
from support.two_customers import TwoCustomers, two_customers


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    """A collector with the rules that ship and a token."""
    with running_collector(tmp_path_factory.mktemp("collector")) as found:
        yield found


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, _databases: None) -> str:
    """Each kind of database that the ledger of `world` may be in."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def world(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCustomers]:
    """A collector of two customers, once with its ledger in each kind of database."""
    folder = tmp_path_factory.mktemp("customers")
    with DATABASES.on(database), two_customers(folder) as found:
        yield found
