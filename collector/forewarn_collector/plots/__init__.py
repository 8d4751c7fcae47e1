"""Plots of series as SVG, for pages and tickets, and as text for terminals: pure, no library."""

from forewarn_collector.plots.model import Line, Mark, Plot
from forewarn_collector.plots.svg import render
from forewarn_collector.plots.terminal import terminal_lines

__all__ = ["Line", "Mark", "Plot", "render", "terminal_lines"]
