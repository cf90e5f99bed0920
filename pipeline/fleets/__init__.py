"""The fleet of each model, as records in the bucket: what its servers poll, which replicas exist, their time limits."""
