"""Alertmanagers: every alert is sent to each of them as well, as Prometheus does."""

from forewarn_collector.alertmanagers.dispatch import Alertmanagers
from forewarn_collector.alertmanagers.notices import Notice, Notices

__all__ = ["Alertmanagers", "Notice", "Notices"]
