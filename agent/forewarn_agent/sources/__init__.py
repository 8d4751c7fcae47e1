"""The agent's sources: one file for each family, and the tuple of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from forewarn_agent.settings import AgentConfig
from forewarn_agent.sources.base import Handle, Loop, Reading, Series, Source, SourceContext

__all__ = [
    "SOURCES",
    "Handle",
    "Loop",
    "Reading",
    "Series",
    "Source",
    "SourceContext",
    "SourceKind",
]


class SourceKind(NamedTuple):
    """How to make one source out of the configuration.

    `settings` picks the part of the configuration that it reads: while that part (and the
    context) stays equal, a reload keeps the running source. None means: nothing configured, so
    no source. `build` imports the source's module, so that what is not used is not loaded.
    """

    name: str
    settings: Callable[[AgentConfig], Any]
    build: Callable[[SourceContext, Any], Source]


SOURCES: tuple[SourceKind, ...] = ()
"""Every source there is, in the order of collection. (An entry: SourceKind("cpu",
lambda config: (), _cpu), where `_cpu` imports the module and makes the source.)"""
