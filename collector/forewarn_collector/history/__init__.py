"""Signals of the past as a source for rules: of a data directory, or of a Prometheus."""

from forewarn_collector.history.directory import DirectoryFeed, DirectoryWindow
from forewarn_collector.history.errors import HistoryError
from forewarn_collector.history.prometheus import PrometheusFeed
from forewarn_collector.history.selecting import selector_text
from forewarn_collector.history.server import Server
from forewarn_collector.history.window import Feed, Window

__all__ = [
    "DirectoryFeed",
    "DirectoryWindow",
    "Feed",
    "HistoryError",
    "PrometheusFeed",
    "Server",
    "Window",
    "selector_text",
]
