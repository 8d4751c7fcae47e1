"""`make demo`: the main job on this machine, with real parts, a real fault and a real task."""

from forewarn_collector.demo.run import run_demo

__all__ = ["run_demo"]
