"""What a decision costs when the journal is long: on a disk, and in an object store whose calls take 30 ms."""
