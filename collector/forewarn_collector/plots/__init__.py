"""Plots of series as SVG, for pages and tickets: pure, and of no library."""

from forewarn_collector.plots.model import Band, Line, Mark, Plot
from forewarn_collector.plots.style import page_style
from forewarn_collector.plots.svg import render, render_inline

__all__ = ["Band", "Line", "Mark", "Plot", "page_style", "render", "render_inline"]
