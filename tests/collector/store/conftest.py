"""Stores in temporary directories."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from forewarn_collector.store import Store
from support.stores import HOUR, START, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def reopen(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Store]]:
    """Closes the store opened last, if any, and opens the same directory.

    Statements given are run on the database while it is closed.
    """
    stores: list[Store] = []

    def opened(*statements: str) -> Store:
        for store in stores:
            store.close()
        stores.clear()
        for statement in statements:
            with closing(sqlite3.connect(tmp_path / "data" / "store.db")) as vandal, vandal:
                vandal.execute(statement)
        stores[:] = [Store(tmp_path / "data", retention=24 * HOUR, clock=clock)]
        try:
            stores[0].open()
        except BaseException:
            stores.clear()
            raise
        return stores[0]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(reopen: Callable[..., Store]) -> Store:
    return reopen()
