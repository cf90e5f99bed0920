"""The way in: HTTP in front of model servers."""
