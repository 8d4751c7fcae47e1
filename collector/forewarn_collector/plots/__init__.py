"""Plots of series as SVG, for pages and tickets: pure, and of no library."""

from forewarn_collector.plots.model import Line, Mark, Plot
from forewarn_collector.plots.svg import render

__all__ = ["Line", "Mark", "Plot", "render"]
