"""One collector for all tests that only write to it and read from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import RunningCollector, running_collector


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    """A collector with the rules that ship and a token."""
    with running_collector(tmp_path_factory.mktemp("collector")) as found:
        yield found
