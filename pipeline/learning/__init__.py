"""Images to an exported SavedModel. Heavy packages are imported inside the functions that use them."""
