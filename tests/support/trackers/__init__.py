"""Ticket systems for tests: fakes that answer as their makers document, and the real ones."""

from __future__ import annotations

from collections.abc import Mapping

from support.trackers.stage import MakeStage

STAGES: Mapping[str, MakeStage] = {}
"""By the tracker's kind, with `-real` behind it where it is no fake."""
