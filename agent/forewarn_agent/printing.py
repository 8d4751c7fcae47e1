"""One round of samples as Prometheus' text exposition, for a person to read.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections.abc import Callable

from forewarn_agent.runner import Agent
from forewarn_agent.settings import AgentConfig
from forewarn_agent.spool import Spool
from forewarn_wire import Labels, metric_name
from forewarn_wire.clock import Clock

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def print_round(config: AgentConfig, clock: Clock, write: Callable[[str], object]) -> None:
    """Collect once, without a spool and without sending, and write a line for each sample."""
    agent = Agent(config, clock, Spool(config.spool.path, config.spool.max_size))
    for series, value in agent.collect_once():
        write(f"{exposition(series.labels)} {value!r}\n")


def exposition(labels: Labels) -> str:
    """A series as `name{label="value"}`."""
    pairs = ",".join(
        f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels if name != "__name__"
    )
    return f"{metric_name(labels)}{{{pairs}}}"
