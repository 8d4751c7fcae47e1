"""The one error of export and import, for a person at a terminal."""

from __future__ import annotations


class TransferError(Exception):
    """Samples cannot be written or read; the message names place and remedy."""
