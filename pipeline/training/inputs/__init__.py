"""From the images of a snapshot to batches for the training, in bounded memory."""
