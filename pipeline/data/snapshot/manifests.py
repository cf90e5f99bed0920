"""The manifests of snapshots in the bucket: what a run uses, and what the next snapshot knows.

A file with the same name, size and stamp as in the newest manifest is not read again. Until a snapshot is complete,
what it has read is in parts, which the next one knows as well.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from pipeline import layout
from pipeline.data.snapshot import manifest_file
from pipeline.data.snapshot.manifest_file import Manifest
from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)

FILE = "images.parquet"
# Of names of manifests, so that they sort by time.
_MOMENT = "%Y%m%dT%H%M%S%fZ"


def store(bucket: Bucket, model: str, folder: Path, *, digest: str, at: datetime) -> str:
    """Store the folder of a manifest; its key. The newest one is what the next snapshot knows."""
    key = layout.snapshot_manifest(model, f"{at:{_MOMENT}}", digest)
    bucket.upload(folder, key)
    return key


def store_part(bucket: Bucket, model: str, folder: Path, *, digest: str) -> str:
    """Store what a snapshot has read so far, apart from its earlier parts; the name of the part."""
    bucket.upload(folder, f"{layout.snapshot_parts(model)}/{digest[:16]}")
    return digest[:16]


@contextmanager
def newest(bucket: Bucket, model: str) -> Iterator[Manifest | None]:
    """The newest manifest of a model that is not damaged; None if there is none.

    Raises:
        StorageError: the bucket does not answer, or a newer version has written the newest manifest.
    """
    names = [name for name in bucket.names(layout.snapshots(model)) if layout.is_snapshot_manifest(name)]
    for name in reversed(names):
        key = f"{layout.snapshots(model)}/{name}"
        with _opened_or_none(bucket, key) as found:
            if found is not None:
                yield found
                return
    yield None


@contextmanager
def _opened_or_none(bucket: Bucket, key: str) -> Iterator[Manifest | None]:
    with ExitStack() as stack:
        yield _entered(stack, bucket, key)


def _entered(stack: ExitStack, bucket: Bucket, key: str) -> Manifest | None:
    """The manifest, on this machine as long as the stack is; None if it does not exist or cannot be read."""
    try:
        return manifest_file.read(key, stack.enter_context(bucket.local_copy(key)) / FILE)
    except MissingError:
        return None
    except DamagedError as error:
        log.warning("%s; it is ignored. More images are read again, and splits of near-duplicates may change", error)
        return None


@contextmanager
def opened(bucket: Bucket, key: str) -> Iterator[Manifest]:
    """The manifest in a folder of the bucket.

    Raises:
        MissingError: there is none.
        DamagedError: it is no manifest.
        NewerVersionError: a newer version wrote it.
    """
    with bucket.local_copy(key) as folder:
        yield manifest_file.read(key, folder / FILE)


def read_parts(bucket: Bucket, model: str, names: Iterable[str]) -> Iterator[Manifest]:
    """Parts of snapshots that were not completed; those that cannot be read are skipped.

    Each is on this machine until the next one is taken.
    """
    for name in names:
        with _opened_or_none(bucket, f"{layout.snapshot_parts(model)}/{name}") as found:
            if found is not None:
                yield found


def remove_parts(bucket: Bucket, model: str, names: Iterable[str]) -> None:
    """Remove parts that a manifest has replaced. Never raises: one that stays costs time, and nothing else."""
    for name in names:
        try:
            bucket.remove(f"{layout.snapshot_parts(model)}/{name}")
        except StorageError as error:
            log.warning("a part of an earlier snapshot could not be removed: %s", error)
            return
