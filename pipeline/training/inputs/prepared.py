"""The decoded images of a split on this machine: decoded once, and read by position in bounded memory."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.progress import logged
from pipeline.runs.rows import Rows
from pipeline.spec import Image
from pipeline.training import preprocessing
from pipeline.training.inputs.cache import MISSING, PixelCache
from pipeline.training.inputs.decoding import Decoder
from pipeline.training.inputs.fetching import Fetch, Positions, fetched

log = logging.getLogger(__name__)


class Prepared:
    """The images of a split by position, as `prepared` gives them. Safe in many threads.

    Attributes:
        classes: int32 (images,): the class number of each.
        image: the size.
    """

    def __init__(self, rows: Rows, fetch: Fetch, *, image: Image, cache: PixelCache) -> None:
        self.classes = rows.classes
        self.image = image
        self._rows = rows
        self._fetch = fetch
        self._cache = cache
        self._places = cache.find(rows.digests)
        self._changing = threading.Lock()
        self._failure: BaseException | None = None

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def _decoder(self) -> Decoder[int]:
        """Made where it is needed: that takes a tenth of a second."""
        return Decoder(self.image, described=self._described)

    def fill(self) -> None:
        """Decode what the cache lacks, as far as it has room.

        Raises:
            FailedError: an image is missing in the bucket, has changed, or cannot be decoded.
            StorageError: the bucket does not answer.
        """
        lacking = np.flatnonzero(self._places.segments == MISSING)
        start = time.monotonic()
        if len(lacking):
            self._decode_and_store(lacking)
        log.info(
            "%d of %d images were in the cache, the others took %.1f s",
            len(self) - len(lacking),
            len(self),
            time.monotonic() - start,
        )

    def _decode_and_store(self, lacking: Positions) -> None:
        groups = self._decoder.decode_all(fetched(lacking, self._fetch))
        for tags, pixels in logged(groups, "images decoded", total=len(lacking), count=lambda each: len(each[0])):
            self._store(np.array(tags), pixels)
            if not self._cache.stores:
                break

    def read(self, positions: Positions) -> NDArray[np.uint8]:
        """Pixels, uint8 (positions, height, width, channels), of the images at these positions.

        What the cache lacks, or has damaged, is fetched and decoded again.

        Raises:
            FailedError: an image is missing in the bucket, has changed, or cannot be decoded.
            StorageError: the bucket does not answer.
        """
        size = self.image.height * self.image.width * self.image.channels
        pixels = np.empty((len(positions), size), np.uint8)
        with self._changing:
            places = self._places.at(positions)
        lacking = self._cache.read(self._rows.digests[positions], places, pixels)
        shaped = pixels.reshape(len(positions), self.image.height, self.image.width, self.image.channels)
        if lacking:
            shaped[lacking] = self._decoded_again(positions[lacking])
        return shaped

    def _decoded_again(self, positions: Positions) -> NDArray[np.uint8]:
        groups = []
        for tags, pixels in self._decoder.decode_all(fetched(positions, self._fetch)):
            groups.append(pixels)
            self._store(np.array(tags), pixels)
        return np.concatenate(groups)

    def _store(self, positions: Positions, pixels: NDArray[np.uint8]) -> None:
        with self._changing:
            self._places.put(positions, self._cache.add(self._rows.digests[positions], pixels))

    def _described(self, position: int) -> str:
        ((digest, suffix),) = self._rows.names([position])
        return f"the stored image {digest}{suffix}"

    def keep_failure(self, error: BaseException) -> None:
        """Keep an error that TensorFlow is about to replace by one of its own."""
        self._failure = error

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Raise what `read` has raised, where TensorFlow reads a data set and raises an error of its own for it."""
        import tensorflow as tf

        self._failure = None
        try:
            yield
        except tf.errors.OpError as error:
            if self._failure is None:
                raise
            raise self._failure from error


@contextmanager
def prepared(rows: Rows, fetch: Fetch, *, image: Image, folder: Path, most_bytes: int) -> Iterator[Prepared]:
    """Decode the images that the cache lacks, and read any of them inside the block.

    Memory does not grow with the images, apart from 64 bytes for each. Decoded images stay on the disk after the block,
    and those of a process that was killed.

    Args:
        rows: the images.
        fetch: reads the encoded images at positions of the rows; called in another thread.
        image: the size to decode to.
        folder: where decoded images are kept, see `pipeline.training.inputs.cache`.
        most_bytes: of all of them. What does not fit is fetched and decoded whenever it is read.

    Raises:
        FailedError: an image is missing in the bucket, has changed, or cannot be decoded.
        StorageError: the bucket does not answer.
    """
    key = _key(image)
    image_bytes = image.height * image.width * image.channels
    with PixelCache(folder, key, image_bytes=image_bytes, most_bytes=most_bytes) as cache:
        found = Prepared(rows, fetch, image=image, cache=cache)
        found.fill()
        yield found


def _key(image: Image) -> str:
    """The name of the folder of what is decoded to the same size, by the same code of ours and of TensorFlow."""
    import tensorflow as tf

    code = hashlib.sha256(Path(preprocessing.__file__).read_bytes()).hexdigest()
    return f"{image.height}x{image.width}x{image.channels}-tensorflow-{tf.__version__}-{code[:8]}"
