"""Loaders: a version's SavedModel brought into memory, with its session config, and its warm-up requests replayed."""
