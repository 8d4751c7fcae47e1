"""Forewarn's agent: collects health signals on a host and sends them to a collector."""

__version__ = "0.1.0"
