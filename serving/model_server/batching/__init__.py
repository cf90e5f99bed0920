"""Requests of several clients run as one batch, as upstream's BatchingSession does it."""
