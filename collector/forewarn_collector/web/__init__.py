"""The built-in page."""

from forewarn_collector.web.pages import WebPages

__all__ = ["WebPages"]
