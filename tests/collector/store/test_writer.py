"""The thread that writes: whoever waits may go away, and it goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.jobs import Appended, AppendSamples, TendEvents, Write
from forewarn_collector.store.writer import Writer
from forewarn_wire import labels_from
from support.stores import batch

BATCH = batch((labels_from({"__name__": "up"}), 1, 1.0))


@pytest.mark.parametrize("fails", [False, True])
def test_a_wait_that_is_given_up_ends_no_writer(fails: bool) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def commit(jobs: Sequence[Write]) -> None:
        seen.append(len(jobs))
        at_work.set()
        assert go_on.wait(10)
        if fails:
            raise StoreError("the disk is full", retryable=True)
        for job in jobs:
            assert isinstance(job, AppendSamples)
            job.done.set_result(Appended(1, 0))

    def tend(_: TendEvents) -> bool:
        return True

    writer = Writer(commit, tend)
    taken, queued, last = (AppendSamples(BATCH) for _ in range(3))
    writer.submit(taken)
    assert at_work.wait(10)
    writer.submit(queued, last)
    # What is being written can't be given up; what only waits can, and is not written then.
    assert not taken.done.cancel()
    assert queued.done.cancel()
    go_on.set()
    for job in (taken, last):
        if fails:
            with pytest.raises(StoreError, match="full"):
                job.done.result(10)
        else:
            assert job.done.result(10) == Appended(1, 0)
    writer.close()
    assert seen == [1, 1]
