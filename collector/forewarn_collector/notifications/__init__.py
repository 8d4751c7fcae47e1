"""Notifications as Alertmanager has them: their data, and the templates that tell of them."""

from forewarn_collector.notifications.model import Notification, NotifiedAlert
from forewarn_collector.notifications.templates import Templates

__all__ = ["Notification", "NotifiedAlert", "Templates"]
