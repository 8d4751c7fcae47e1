"""Notifications as Alertmanager has them: their data, and the templates that tell of them."""

from forewarn_collector.notifications.checking import CheckedTemplates, templates_of
from forewarn_collector.notifications.model import Notification, NotifiedAlert
from forewarn_collector.notifications.templates import Templates

__all__ = [
    "CheckedTemplates",
    "Notification",
    "NotifiedAlert",
    "Templates",
    "templates_of",
]
