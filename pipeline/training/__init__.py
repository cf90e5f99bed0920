"""From images to a SavedModel, and the figures of a SavedModel on images."""
