"""One run: what was asked for, and the records that its verbs leave for each other."""
