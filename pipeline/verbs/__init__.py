"""One module per verb of the command line. Each says what it needs, what it leaves, and how it may be repeated."""
