"""What can be wrong with an expression: when it is read, and when it is evaluated."""

from __future__ import annotations

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

    Its wording is Prometheus'. Trying again helps only when the series have changed.
    """


class QueryTimeoutError(EvalError):
    """An evaluation that took longer than it may. Trying again may help, with less to do."""


class QueryCanceledError(EvalError):
    """An evaluation that was given up, since nobody waits for its answer any more."""
