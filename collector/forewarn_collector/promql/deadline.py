"""When an evaluation must end: at a moment, or at once since nobody waits for its answer."""

from __future__ import annotations

import math
import time

from forewarn_collector.promql.errors import QueryCanceledError, QueryTimeoutError


class Deadline:
    """Asked by whatever works for long, between two pieces of work. Any thread may cancel."""

    __slots__ = ("_canceled", "_moment")

    def __init__(self, moment: float = math.inf) -> None:
        """`moment` is in seconds of `time.monotonic`."""
        self._moment = moment
        self._canceled = False

    def cancel(self) -> None:
        """End the evaluation at its next check."""
        self._canceled = True

    def check(self, place: str = "expression evaluation") -> None:
        """Raise QueryTimeoutError or QueryCanceledError, in Prometheus' words, if it is time."""
        if self._canceled:
            raise QueryCanceledError(f"query was canceled in {place}")
        if time.monotonic() > self._moment:
            raise QueryTimeoutError(f"query timed out in {place}")


UNLIMITED = Deadline()
"""Of an evaluation that may take as long as it needs."""
