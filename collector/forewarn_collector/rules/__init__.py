"""Rules: files, templates, the life of alerts, and when they are evaluated."""
