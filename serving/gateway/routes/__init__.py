"""One module for each kind of request. Each has a `router`."""
