"""The bucket in Amazon S3, or in a store that speaks its protocol."""

import re

from pipeline.errors import BadInputError
from pipeline.storage.object_bucket import ObjectBucket
from pipeline.storage.objects import Patience
from pipeline.storage.pace import Pace
from pipeline.storage.s3.connection import Connection
from pipeline.storage.s3.objects import S3Objects

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class S3Bucket(ObjectBucket):
    """See `pipeline.storage.bucket.Bucket`. AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3 points it at another store.

    An object's generation is its ETag, which Amazon makes of the content. So what was replaced by the same content, or
    by another and then by the same again, is taken for unchanged: such a replacement succeeds, and `remove` takes away
    what somebody put there again meanwhile where it is the same file.

    Args:
        root: s3://bucket or s3://bucket/prefix. Nothing is connected before the first call.
        patience: how long every call may last.
    """

    def __init__(self, root: str, *, patience: Patience | None = None) -> None:
        name, _, prefix = root.removeprefix("s3://").strip("/").partition("/")
        if not _BUCKET.fullmatch(name):
            raise BadInputError(f"{root!r}: no bucket can be called {name!r}; use s3://bucket or s3://bucket/prefix")
        objects = S3Objects(Connection(name, f"{prefix}/" if prefix else "", patience or Patience()))
        # Amazon asks for no pause between two writes of the same object.
        super().__init__(objects, Pace(0))
