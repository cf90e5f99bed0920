"""Open the bucket, or a tree of files to read, at an address."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BadInputError
from pipeline.storage.local import LocalBucket
from pipeline.storage.local_tree import LocalTree
from pipeline.storage.objects import CallLimits

if TYPE_CHECKING:
    from pipeline.storage.bucket import Bucket
    from pipeline.storage.tree import Tree


def make_bucket(root: str) -> None:
    """Create the folder of a bucket on this machine. A bucket in a cloud is created with the cloud's own tools."""
    if "://" not in root:
        Path(root).mkdir(parents=True, exist_ok=True)


def open_bucket(root: str, *, seconds: float) -> "Bucket":
    """The bucket at a path of this machine, or in a cloud: gs://bucket/prefix or s3://bucket/prefix.

    Nothing is connected yet.

    Args:
        root: the address.
        seconds: for how long a call that failed with a transient error is retried.

    Raises:
        BadInputError: the address is malformed.
    """
    scheme, separator, rest = root.partition("://")
    if not separator:
        return LocalBucket(Path(root).absolute())
    if scheme == "gs" and rest.strip("/"):
        # Google's libraries take long to import, so only buckets in gs:// do.
        from pipeline.storage.gcs.bucket import GcsBucket  # noqa: PLC0415

        return GcsBucket(root, patience=CallLimits(retries=seconds))
    if scheme == "s3" and rest.strip("/"):
        from pipeline.storage.s3.bucket import S3Bucket  # noqa: PLC0415

        return S3Bucket(root, patience=CallLimits(retries=seconds))
    raise BadInputError(f"UNDERSTUDY_ROOT: {root!r} is neither a path nor gs://bucket/prefix or s3://bucket/prefix")


def open_tree(address: str, *, seconds: float, setting: str = "data.images") -> "Tree":
    """The files below a folder of this machine, or below a prefix of a cloud's bucket.

    Nothing is connected yet.

    Args:
        address: a path, also with `~` or relative to the working directory; gs://bucket/prefix or s3://bucket/prefix.
        seconds: for how long a call that failed with a transient error is retried.
        setting: where the address comes from, for messages.

    Raises:
        BadInputError: the address is malformed.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        # `Path.expanduser` raises where there is no such user.
        return LocalTree(Path(os.path.expanduser(address)), setting=setting)  # noqa: PTH111
    if scheme == "gs" and rest.strip("/"):
        from pipeline.storage.gcs.reads import open_gcs_tree  # noqa: PLC0415 - as above

        return open_gcs_tree(address, CallLimits(retries=seconds), setting=setting)
    if scheme == "s3" and rest.strip("/"):
        from pipeline.storage.s3.reads import open_s3_tree  # noqa: PLC0415

        return open_s3_tree(address, CallLimits(retries=seconds), setting=setting)
    raise BadInputError(f"{setting}: {address!r} is neither a path nor gs://bucket/prefix or s3://bucket/prefix")
