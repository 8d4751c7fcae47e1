"""`forewarn demo`: the main job on this machine."""

from __future__ import annotations

import click

from forewarn_collector.demo import run_demo
from forewarn_wire.clock import Clock


@click.command()
@click.option("--once", is_flag=True, help="End after the first task has opened and resolved.")
@click.option("--port", default=9815, show_default=True, help="The collector's; 0 takes any.")
@click.pass_obj
def demo(clock: Clock, *, once: bool, port: int) -> None:
    """Start a collector, an agent and a small shop; break the shop, and see the task."""
    raise SystemExit(run_demo(clock, once=once, port=port))
