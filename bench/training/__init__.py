"""What a training reads: how fast, with how much new data, and in how much memory."""
