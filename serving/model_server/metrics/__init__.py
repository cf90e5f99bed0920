"""What the server counts of itself, and the page Prometheus reads it from."""
