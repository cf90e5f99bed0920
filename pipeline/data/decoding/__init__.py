"""One image: decoded as a server decodes it, and what it looks like."""
