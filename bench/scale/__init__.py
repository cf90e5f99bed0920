"""What one unit of everything costs: a model, a replica, a journal entry, an image, a pod. See `docs/scale.md`."""
