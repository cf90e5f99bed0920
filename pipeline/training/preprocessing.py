"""From an encoded image to the input of the network: one TensorFlow function, in training and inside the SavedModel."""

from typing import Any

from pipeline.spec import Image


def decoded(content: Any, image: Image) -> Any:
    """Pixels in [0, 1], float32 of shape (height, width, channels), of one encoded PNG or JPEG."""
    import tensorflow as tf

    pixels = tf.io.decode_image(content, channels=image.channels, expand_animations=False)
    pixels = tf.image.resize(pixels, (image.height, image.width), antialias=True)
    return tf.ensure_shape(pixels, (image.height, image.width, image.channels)) / 255.0
