"""Tasks: the ledger, what alerts and people do to tasks, and the deliveries that follow."""
