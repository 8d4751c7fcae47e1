"""All agents as Forewarn's own dashboard shows them."""

from __future__ import annotations

from panels import Column, bars, graph, sheet, timeline, to_host
from style import BYTES, BYTES_RATE, NUMBER, PLAIN, SECONDS, said

AGENTS = (
    bars(
        "Versions of agents",
        "How many agents run each version.",
        ("count by (version) (forewarn_agent_info)", "{{version}}"),
        steps=PLAIN,
        unit=NUMBER,
        most=None,
    ),
    graph(
        "Sent by agents",
        "Bytes of requests a second, the ten agents that send most.",
        BYTES_RATE,
        ("topk(10, rate(forewarn_agent_sent_bytes_total[$__rate_interval]))", "{{instance}}"),
    ),
    graph(
        "Spools",
        "What waits on the disks of agents, the ten largest.",
        BYTES,
        ("topk(10, forewarn_agent_spool_bytes)", "{{instance}}"),
    ),
    sheet(
        "Agents in trouble",
        "Agents that lost signals, that send what is refused, or whose clock is off, within the "
        "chosen time; the twenty worst of each.",
        [
            "topk(20, sum by (customer, instance) "
            "(increase(forewarn_agent_spool_dropped_total[$__range])) > 0)",
            "topk(20, sum by (customer, instance) "
            "(increase(forewarn_agent_rejected_total[$__range])) > 0)",
            "topk(20, max by (customer, instance) (abs(forewarn_agent_clock_offset_seconds) > 1))",
        ],
        [
            to_host(),
            Column("Value #A", "Lost", unit=NUMBER),
            Column("Value #B", "Refused", unit=NUMBER),
            Column("Value #C", "Clock off by", unit=SECONDS),
            Column("customer", "Customer"),
        ],
        span=16,
        height=8,
        empty="none",
    ),
    timeline(
        "Configuration of agents",
        "Agents whose file on disk is bad, so that the settings before it are in force.",
        ("forewarn_agent_config_last_reload_successful == 0", "{{instance}}"),
        said({"0": ("bad file", "red")}),
        span=8,
    ),
)
