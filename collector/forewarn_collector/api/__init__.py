"""HTTP: what senders write to and what people, Grafana and scripts read."""
