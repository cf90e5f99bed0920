"""What was decided, for ever: entries, the history they make, the journal that appends them, and manifests."""
