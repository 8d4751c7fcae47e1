"""Forewarn's collector."""
