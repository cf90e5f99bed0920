"""Random changes of a batch of training images, in TensorFlow. The same seed gives the same changes.

Each function works on the whole batch at once, and draws for each image of it. Pixels are float32 (batch, height,
width, channels) in [0, 1], or uint8 where it says so.
"""

from typing import Any

from pipeline.spec import Augmentation

# What a seed is folded with, so that no two draws are the same.
_LEFT_RIGHT, _TOP_BOTTOM, _CROP, _COLOUR, _MIXUP, _MIXUP_SIDE = range(6)
# Above the smallest numbers of 64 bits.
_SMALLEST = 1e-300
# Of ITU-R BT.601, as in `tf.image.rgb_to_grayscale`.
_LUMA = (0.299, 0.587, 0.114)


def augmented(pixels: Any, augmentation: Augmentation, seed: Any) -> Any:
    """Flip, crop and recolour; float32 in [0, 1].

    Args:
        pixels: uint8.
        augmentation: mixup is apart, see `mixed`.
        seed: int64 (2,).
    """
    import tensorflow as tf

    pixels = _flipped(pixels, augmentation, seed)
    pixels = tf.cast(pixels, tf.float32) / 255.0
    if augmentation.crop:
        pixels = _cropped(pixels, augmentation.crop, seed)
    return _recoloured(pixels, augmentation, seed)


def _draw(seed: Any, purpose: int, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
    import tensorflow as tf

    folded = tf.random.experimental.stateless_fold_in(seed, purpose)
    return tf.random.stateless_uniform(shape, folded, low, high)


def _flipped(pixels: Any, augmentation: Augmentation, seed: Any) -> Any:
    import tensorflow as tf

    batch = tf.shape(pixels)[0]
    for axis, purpose, kinds in ((2, _LEFT_RIGHT, ("horizontal", "both")), (1, _TOP_BOTTOM, ("vertical", "both"))):
        if augmentation.flip in kinds:
            chosen = _draw(seed, purpose, [batch, 1, 1, 1]) < 0.5
            pixels = tf.where(chosen, tf.reverse(pixels, [axis]), pixels)
    return pixels


def _cropped(pixels: Any, most: float, seed: Any) -> Any:
    """Cut off a share of the height, and another one of the width, and scale to the size of before, bilinearly."""
    import tensorflow as tf

    batch = tf.shape(pixels)[0]
    cut, place = tf.unstack(_draw(seed, _CROP, [2, batch, 2]) * tf.constant([[[most]], [[1.0]]]))
    start = cut * place
    boxes = tf.concat([start, start + 1.0 - cut], axis=1)
    return tf.image.crop_and_resize(pixels, boxes, tf.range(batch), pixels.shape[1:3])


def _recoloured(pixels: Any, augmentation: Augmentation, seed: Any) -> Any:
    import tensorflow as tf

    colour = augmentation.colour
    draws = tf.unstack(_draw(seed, _COLOUR, [4, tf.shape(pixels)[0], 1, 1, 1], -1.0, 1.0))
    brightness, contrast, saturation, hue = draws
    in_colour = pixels.shape[-1] == 3
    if colour.brightness:
        pixels *= 1.0 + colour.brightness * brightness
    if colour.contrast:
        mean = tf.reduce_mean(pixels, axis=[1, 2], keepdims=True)
        pixels = mean + (1.0 + colour.contrast * contrast) * (pixels - mean)
    if colour.saturation and in_colour:
        grey = tf.reduce_sum(pixels * tf.constant(_LUMA), axis=-1, keepdims=True)
        pixels = grey + (1.0 + colour.saturation * saturation) * (pixels - grey)
    pixels = tf.clip_by_value(pixels, 0.0, 1.0)
    return _turned(pixels, colour.hue * hue) if colour.hue and in_colour else pixels


def _turned(pixels: Any, share: Any) -> Any:
    """The hue turned by a share of the circle."""
    import tensorflow as tf

    hue, saturation, value = tf.split(tf.image.rgb_to_hsv(pixels), 3, axis=-1)
    turned = tf.math.floormod(hue + share, 1.0)
    return tf.clip_by_value(tf.image.hsv_to_rgb(tf.concat([turned, saturation, value], axis=-1)), 0.0, 1.0)


def mixed(pixels: Any, targets: Any, weights: Any, alpha: float, seed: Any) -> tuple[Any, Any, Any]:
    """Mix each image with the next one of the batch, and their targets and weights with the same share.

    The loss of a mixed image is the sum of the weighted losses of both: each target counts with the weight of its own
    image. The weights of the answer are what both weigh together, and its targets are shares of that.

    Args:
        pixels: the images.
        targets: float32 (batch, classes).
        weights: float32 (batch,).
        alpha: the shares are drawn from Beta(alpha, alpha).
        seed: int64 (2,).
    """
    import tensorflow as tf

    share = _beta(alpha, tf.shape(weights)[0], seed)

    def mix(each: Any) -> Any:
        own = tf.reshape(share, tf.concat([tf.shape(share), tf.ones(tf.rank(each) - 1, tf.int32)], axis=0))
        return own * each + (1.0 - own) * tf.roll(each, 1, axis=0)

    together = mix(weights)
    shares = mix(targets * weights[:, tf.newaxis]) / together[:, tf.newaxis]
    return tf.ensure_shape(mix(pixels), pixels.shape), tf.ensure_shape(shares, targets.shape), together


def _beta(alpha: float, count: Any, seed: Any) -> Any:
    """From Beta(alpha, alpha), float32 (count,): X / (X + Y) for X and Y from Gamma(alpha).

    For a small alpha both may be too small for a number of 64 bits, and TensorFlow gives its smallest number for both.
    Then the share is 0 or 1, as nearly all are.
    """
    import tensorflow as tf

    folded = tf.random.experimental.stateless_fold_in(seed, _MIXUP)
    first, second = tf.unstack(
        tf.random.stateless_gamma([2, count], folded, alpha=tf.constant(alpha, tf.float64), dtype=tf.float64)
    )
    total = first + second
    side = tf.round(tf.cast(_draw(seed, _MIXUP_SIDE, [count]), tf.float64))
    return tf.cast(tf.where(total > _SMALLEST, tf.math.divide_no_nan(first, total), side), tf.float32)
