"""What the benchmark of the model server is made of: models, baselines, clients and one module per figure."""
