"""Arrays of images and labels, checked and drawn."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.data.sources.builtin.data_set import Drawn, FormatError
from pipeline.data.sources.builtin.png import encode

if TYPE_CHECKING:
    import numpy as np


def drawn(
    pixels: "np.ndarray", classes: "np.ndarray", *, shape: tuple[int, ...], names: Sequence[str]
) -> Iterator[Drawn]:
    """Draw each image as a PNG.

    Args:
        pixels: bytes (`uint8`) of the shape (images, *shape).
        classes: the class of each image, a place in `names`.
        shape: height and width, and 3 for images in colour.
        names: the label of each class.

    Raises:
        FormatError: the arrays have other shapes or types, or there is a class without a name.
    """
    if pixels.dtype != "uint8" or pixels.shape[1:] != shape or classes.shape != pixels.shape[:1]:
        raise FormatError(
            f"holds images of the shape {pixels.shape} ({pixels.dtype}) and labels of the shape {classes.shape}; "
            f"expected are bytes of the shape (images, {', '.join(map(str, shape))}) and one label for each image"
        )
    if not len(classes):
        raise FormatError("holds no images")
    if not 0 <= int(classes.min()) <= int(classes.max()) < len(names):
        raise FormatError(f"has the classes {classes.min()} to {classes.max()}; expected are 0 to {len(names) - 1}")
    return (Drawn(encode(image), names[int(number)]) for image, number in zip(pixels, classes, strict=True))
