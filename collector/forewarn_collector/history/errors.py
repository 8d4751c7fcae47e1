"""The one error of reading history, for a person at a terminal."""

from __future__ import annotations


class HistoryError(Exception):
    """Stored signals cannot be read; the message names place and remedy."""
