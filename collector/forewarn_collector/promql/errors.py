"""What can be wrong with an expression: when it is read, and when it is evaluated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Position = tuple[int, int]
"""Line and column in the text of the expression, both counted from 1."""


class PromQLError(ValueError):
    """An expression that is no PromQL. `position` is where, if that could be found out."""

    def __init__(self, message: str, position: Position | None = None) -> None:
        place = f"{position[0]}:{position[1]}: " if position else ""
        super().__init__(f"{place}parse error: {message}")
        self.message = message
        self.position = position


class EvalError(ValueError):
    """A valid expression that cannot be evaluated on the series that are there.

    Its wording is Prometheus'. Trying again helps only when the series have changed. `times` (ms)
    are some at which it fails, where that is known: at others it may not.
    """

    def __init__(self, message: str, times: NDArray[np.int64] | None = None) -> None:
        super().__init__(message)
        self.times = times


class QueryTimeoutError(EvalError):
    """An evaluation that took longer than it may. Trying again may help, with less to do."""


class QueryCanceledError(EvalError):
    """An evaluation that was given up, since nobody waits for its answer any more."""
