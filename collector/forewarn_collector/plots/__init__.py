"""Plots of series as SVG, for pages and tickets, and as text for terminals: pure, no library."""

from forewarn_collector.plots.model import Band, Line, Mark, Plot
from forewarn_collector.plots.style import page_style
from forewarn_collector.plots.svg import render, render_inline
from forewarn_collector.plots.terminal import terminal_lines

__all__ = [
    "Band",
    "Line",
    "Mark",
    "Plot",
    "page_style",
    "render",
    "render_inline",
    "terminal_lines",
]
