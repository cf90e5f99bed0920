"""Which replicas exist: sources of addresses, and the fleet that connects to them. A fleet serves one model."""
