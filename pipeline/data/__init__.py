"""Images in: found, checked, and listed by content."""
