"""Bring the pretrained weights that a model file names to this machine, and compare their digest."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.spec import IMAGENET, Application, Network
from pipeline.storage.opening import open_tree
from pipeline.storage.tree import UnreadableError
from pipeline.training.networks.published import PUBLISHED, imagenet_weights

SETTING = "training.network.weights"
_CHUNK = 1 << 20


@contextmanager
def local_weights(network: Network, *, seconds: float, cache: Path) -> Iterator[Path | None]:
    """The file of the pretrained weights on this machine, inside the block; None if the network has none.

    `imagenet` is downloaded to `cache`/weights, once. A file in a bucket is downloaded to a temporary folder.

    Args:
        network: which one.
        seconds: for how long a call to a bucket that failed with a transient error is retried.
        cache: a folder for what can be downloaded again.

    Raises:
        BadInputError: the file cannot be read, does not have the digest, or no digest is given: the message has the
            digest that it has. Or the published weights were not downloaded: the message says how to get them.
        StorageError: the bucket gives no answer.
    """
    if not isinstance(network, Application) or network.weights is None:
        yield None
    elif network.weights == IMAGENET:
        yield imagenet_weights(network.name, PUBLISHED[network.name], published_path(network, cache).parent)
    elif "://" not in network.weights:
        require_digest(network, digest_of(network.weights))
        with tempfile.TemporaryDirectory() as scratch:
            # It is read when the images are there, hours later perhaps: what was compared is what is loaded.
            path = Path(shutil.copy(Path(network.weights).expanduser(), scratch))
            require_digest(network, digest_of(str(path)))
            yield path
    else:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / network.weights.rpartition("/")[2]
            require_digest(network, _downloaded(network.weights, path, seconds=seconds))
            yield path


def published_path(network: Application, cache: Path) -> Path:
    """Where the file that Keras publishes for a network is kept on this machine."""
    return cache / "weights" / PUBLISHED[network.name].file


def digest_of(path: str) -> str:
    """The SHA-256 of a file of this machine, in hexadecimal.

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:  # RuntimeError: `~` of an unknown user
        reason = error.strerror if isinstance(error, OSError) else str(error)
        way_out = "correct the path"
        if "/" not in path and not Path(path).exists():
            way_out = f"it is taken for the path of a file. Correct it, or give `{IMAGENET}` for what Keras publishes"
        raise BadInputError(f"{SETTING}: {path} cannot be read: {reason}; {way_out}") from error


def require_digest(network: Application, found: str) -> None:
    """Compare the digest of the file of weights with the one in the model file.

    Raises:
        BadInputError: it is another one, or none is given.
    """
    if network.sha256 is None:
        raise BadInputError(
            f"training.network.sha256 is missing. It says with which weights a run began. If {network.weights} is the "
            f"right file, add to training.network in the model file `sha256: {found}`"
        )
    if network.sha256 != found:
        raise BadInputError(
            f"{SETTING}: the SHA-256 of {network.weights} is {found}, and training.network.sha256 is {network.sha256}. "
            f"Restore the file; or, if it is the right one, correct sha256"
        )


def _downloaded(address: str, target: Path, *, seconds: float) -> str:
    """Store a file of a bucket, and return its SHA-256."""
    folder, _, name = address.rpartition("/")
    if not name or folder.endswith(":/"):
        raise BadInputError(f"{SETTING}: {address} is not the address of a file; name a file in the bucket")
    tree = open_tree(folder, seconds=seconds, setting=SETTING)
    digest = hashlib.sha256()
    try:
        with tree.open(name) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except UnreadableError as error:
        raise BadInputError(f"{SETTING}: {address} {error}; correct the address") from error
    return digest.hexdigest()
