"""The handwritten digits of the UCI machine learning repository that come with scikit-learn.

1,797 images, 8x8 in grey.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.data.sources.builtin.data_set import Drawn
from pipeline.data.sources.builtin.files import State

NAME = "digits"
PART = "images"
# The size of the pixels; change the stamp if an image is drawn in another way.
STATE = State(1797 * 8 * 8, "1")


def draw(_part: str, _files: Sequence[Path]) -> Iterator[Drawn]:
    """Yield each image as a PNG.

    Pillow encodes it, as it always did here: other bytes would be other images, and would be in other splits.
    """
    from PIL import Image  # noqa: PLC0415 - only this source draws
    from sklearn.datasets import load_digits

    digits = load_digits()
    for pixels, target in zip(digits.images, digits.target, strict=True):
        stream = io.BytesIO()
        Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(stream, format="PNG")
        yield Drawn(stream.getvalue(), str(target))
