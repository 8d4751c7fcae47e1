"""Distinct columns of a table of numbers."""

from __future__ import annotations

import numpy as np

from forewarn_collector.store.columns import Ints


def unique_columns(table: Ints) -> tuple[Ints, Ints]:
    """The distinct columns of `int64[rows, n]`, and for each column which of them it is.

    As numpy's `unique` does, but that one sorts by a function that holds the interpreter's lock.
    """
    order = np.lexsort(table[::-1])
    ordered = table[:, order]
    differs = np.ones(len(order), dtype=np.int64)
    differs[1:] = np.logical_or.reduce(ordered[:, 1:] != ordered[:, :-1], axis=0)
    which = np.empty(len(order), dtype=np.int64)
    which[order] = np.cumsum(differs) - 1
    return ordered[:, differs == 1], which
