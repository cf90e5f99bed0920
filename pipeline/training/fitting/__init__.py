"""The training itself: phases, the best epoch, checkpoints, progress."""
