"""What comes in: the body of a request, the images in it, and whether the model can decode them."""
