"""MLflow: the runs of training, and the registered versions that mirror the journal."""
