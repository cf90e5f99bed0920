"""From images to a SavedModel, and what a SavedModel is worth on images."""
