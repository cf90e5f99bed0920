"""Requests of different clients run together, as upstream's BatchingSession does it."""
