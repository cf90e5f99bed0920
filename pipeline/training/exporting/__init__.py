"""From a trained or an imported network to the SavedModel that servers load."""
