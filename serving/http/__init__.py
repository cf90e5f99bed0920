"""What the HTTP servers of this package share."""
