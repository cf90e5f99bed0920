"""Measurements and policy in, a verdict with its reasons out. Pure: no clock, no client, no bucket."""
