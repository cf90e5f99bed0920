"""Which images a run uses: listed, read where they are new, split, and written down in a manifest."""
