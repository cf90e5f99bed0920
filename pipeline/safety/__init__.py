"""Whether a SavedModel may be loaded at all. It is read as data: nothing here runs it or believes it."""
