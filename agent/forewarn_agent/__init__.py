"""Forewarn's agent."""
