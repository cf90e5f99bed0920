"""How good an exported model is: its answers to held-out images, the figures of them, and its worst mistakes."""
