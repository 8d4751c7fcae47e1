"""The one error of this room, for a person at a terminal."""

from __future__ import annotations


class CareError(Exception):
    """A data directory cannot be copied or examined; the message names place and remedy."""
