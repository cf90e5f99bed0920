"""Where bytes are: the bucket (`bucket`), and files of other people that are only read (`tree`)."""
