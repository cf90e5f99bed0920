"""The release protocol: the journal, the state it holds, and how replicas are brought to follow it."""
