"""The pets model behind the servers people would otherwise use, each a program for an environment of its own."""
