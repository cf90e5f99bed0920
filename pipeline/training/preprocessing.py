"""From an encoded image to the input of the network: one TensorFlow function, in training and inside the SavedModel."""

from typing import Any

from pipeline.spec import Image
from serving.images import MOST_PIXELS

# Up to the name of the first chunk, which libpng lets other chunks precede: those could claim another size.
HEADER_OF_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_JPEG = b"\xff\xd8\xff"
_SIZE_IN_PNG = (len(HEADER_OF_PNG), 8)
_HEADER = sum(_SIZE_IN_PNG)


def decoded(content: Any, image: Image) -> Any:
    """Pixels in [0, 1], float32 of shape (height, width, channels), of one encoded PNG or JPEG.

    Raises:
        tensorflow.errors.InvalidArgumentError: it is neither, its header claims more than `MOST_PIXELS`, or it cannot
            be decoded. Nothing is allocated for its pixels in the first two cases.
    """
    import tensorflow as tf

    with tf.control_dependencies(_checks(content)):
        content = tf.identity(content)
    pixels = tf.io.decode_image(content, channels=image.channels, expand_animations=False)
    pixels = tf.image.resize(pixels, (image.height, image.width), antialias=True)
    return tf.ensure_shape(pixels, (image.height, image.width, image.channels)) / 255.0


def _checks(content: Any) -> list[Any]:
    """Operations that fail for an image that must not be decoded."""
    import tensorflow as tf

    # Zeros behind a short content, so that every content has a header.
    header = tf.strings.join([tf.strings.substr(content, 0, _HEADER), bytes(_HEADER)])
    is_png = tf.equal(tf.strings.substr(header, 0, len(HEADER_OF_PNG)), HEADER_OF_PNG)
    is_jpeg = tf.equal(tf.strings.substr(header, 0, len(_JPEG)), _JPEG)
    known = tf.debugging.Assert(is_png | is_jpeg, ["the image is not a PNG or JPEG; convert it before it is sent"])
    with tf.control_dependencies([known]):
        size = tf.cond(is_png, lambda: _png_size(header), lambda: _jpeg_size(content))
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    small = tf.reduce_all(size > 0) & (pixels <= MOST_PIXELS)
    limit = f"the image must have 1 to {MOST_PIXELS} pixels; make it smaller. Its header claims"
    return [tf.debugging.Assert(small, [limit, size])]


def _png_size(header: Any) -> Any:
    """Width and height, int32; a number of more than 31 bits, which no PNG may have, is below 0."""
    import tensorflow as tf

    return tf.io.decode_raw(tf.strings.substr(header, *_SIZE_IN_PNG), tf.int32, little_endian=False)


def _jpeg_size(content: Any) -> Any:
    """Height and width, int32. Reads no further than the header."""
    import tensorflow as tf

    return tf.image.extract_jpeg_shape(content)[:2]
