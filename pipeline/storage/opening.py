"""Which bucket an address stands for."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BadInputError
from pipeline.storage.local import LocalBucket
from pipeline.storage.objects import Patience

if TYPE_CHECKING:
    from pipeline.storage.bucket import Bucket


def make_bucket(root: str) -> None:
    """Make the folder of a bucket on this machine; one in a cloud is made with the cloud's own tools."""
    if "://" not in root:
        Path(root).mkdir(parents=True, exist_ok=True)


def open_bucket(root: str, *, seconds: float) -> "Bucket":
    """The bucket at a path of this machine, or in a cloud: gs://bucket/prefix or s3://bucket/prefix.

    Nothing is connected yet.

    Args:
        root: the address.
        seconds: for how long a call that failed and may pass is tried again.

    Raises:
        BadInputError: no bucket can be there.
    """
    scheme, separator, rest = root.partition("://")
    if not separator:
        return LocalBucket(Path(root).absolute())
    if scheme == "gs" and rest.strip("/"):
        # Only who needs them waits for Google's libraries.
        from pipeline.storage.gcs.bucket import CloudBucket  # noqa: PLC0415

        return CloudBucket(root, patience=Patience(retries=seconds))
    if scheme == "s3" and rest.strip("/"):
        from pipeline.storage.s3.bucket import S3Bucket  # noqa: PLC0415

        return S3Bucket(root, patience=Patience(retries=seconds))
    raise BadInputError(f"UNDERSTUDY_ROOT: {root!r} is neither a path nor gs://bucket/prefix or s3://bucket/prefix")
