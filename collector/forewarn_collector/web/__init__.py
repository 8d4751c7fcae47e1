"""The built-in page."""

from forewarn_collector.web.pages import Parts, WebPages

__all__ = ["Parts", "WebPages"]
