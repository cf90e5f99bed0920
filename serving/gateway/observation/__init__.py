"""What the gateway says about its requests: metrics, a line for each, an id for each."""
