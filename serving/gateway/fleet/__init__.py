"""What is known of the replicas of all models, for `/fleet` and for Prometheus."""
