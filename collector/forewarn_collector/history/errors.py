"""The errors of reading history, for a person at a terminal."""

from __future__ import annotations


class HistoryError(Exception):
    """Stored signals cannot be read; the message names place and remedy."""


class AccessError(HistoryError):
    """The server refuses a path to whoever asks."""
