"""The weights for ImageNet that Keras publishes, without the top: downloaded once, compared, kept in a folder."""

import contextlib
import hashlib
import io
import logging
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import BadInputError

log = logging.getLogger(__name__)

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"


class Published(NamedTuple):
    """A file that Keras publishes. Keras knows its MD5, which is all there is to compare it with."""

    url: str
    md5: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


# As in the modules of `keras.applications`, which do not give them away; a test compares.
PUBLISHED = {
    "resnet50": Published(
        f"{_KERAS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"
    ),
    "efficientnet_v2_b0": Published(
        f"{_KERAS}/efficientnet_v2/efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"
    ),
    "efficientnet_v2_b1": Published(
        f"{_KERAS}/efficientnet_v2/efficientnetv2-b1_notop.h5", "0e80663031ca32d657f9caa404b6ec37"
    ),
    "efficientnet_v2_b2": Published(
        f"{_KERAS}/efficientnet_v2/efficientnetv2-b2_notop.h5", "1dfe2e7a5d45b6632553a8961ea609eb"
    ),
    "efficientnet_v2_b3": Published(
        f"{_KERAS}/efficientnet_v2/efficientnetv2-b3_notop.h5", "f6abf7b5849ac99a89b50dd3fd532856"
    ),
    "efficientnet_v2_s": Published(
        f"{_KERAS}/efficientnet_v2/efficientnetv2-s_notop.h5", "af0682fb74e8c54910f2d4393339c070"
    ),
    "mobilenet_v3_small": Published(
        f"{_KERAS}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    "mobilenet_v3_large": Published(
        f"{_KERAS}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
}


def imagenet_weights(name: str, published: Published, folder: Path, *, silence: float = 60.0) -> Path:
    """The published weights of a network, in a folder of this machine.

    Many processes may ask at once: each downloads beside the others, and a complete file is renamed into place.

    Args:
        name: that of the network, for messages.
        published: its file.
        folder: where it is kept; made if it does not exist.
        silence: for how many seconds the server may send nothing.

    Raises:
        BadInputError: it could not be downloaded or stored; the message says how to get it by hand.
    """
    target = folder / published.file
    try:
        if _is_published(target, published):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as aside:
            with _limited(silence):
                path = _download(name, published, Path(aside), target)
            path.replace(target)
    except OSError as error:
        raise BadInputError(
            f"training.network.weights: imagenet: {published.file} cannot be kept in {folder}: "
            f"{error.strerror or error}. Set UNDERSTUDY_CACHE to a folder that can be written"
        ) from error
    return target


@contextlib.contextmanager
def _limited(silence: float) -> Iterator[None]:
    """Keras sets no limit for a server that sends nothing, so the one for all new connections is set meanwhile."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(silence)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _is_published(path: Path, published: Published) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        if hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == published.md5:
            return True
    log.warning("%s is not the published file; downloading it again", path)
    return False


def _download(name: str, published: Published, folder: Path, target: Path) -> Path:
    import keras

    log.info("downloading %s to %s", published.url, target)
    try:
        # Keras draws a bar of progress, which fills a log.
        with contextlib.redirect_stdout(io.StringIO()):
            path = keras.utils.get_file(
                published.file, published.url, file_hash=published.md5, cache_dir=str(folder), cache_subdir="weights"
            )
    except Exception as error:  # Keras raises a plain one
        raise BadInputError(_way_out(name, published, target, str(error))) from error
    return Path(path)


def _way_out(name: str, published: Published, target: Path, problem: str) -> str:
    return (
        f"training.network.weights: imagenet: {published.file} was not downloaded: {problem}. If this machine has no "
        f"network, download {published.url} on another one, and copy it to {target}. Or copy it anywhere, also to "
        f"gs:// or s3://, and write in the model file `network: {{name: {name}, weights: <path>/{published.file}, "
        f"sha256: <first word of the output of sha256sum>}}`. Without pretrained weights, leave `weights` out"
    )
