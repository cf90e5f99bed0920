"""What was decided, kept for ever: entries, the history they make, the journal that appends them, and manifests."""
