"""Which versions should be in memory, and the loads and unloads that get there; not what a version is made of."""
