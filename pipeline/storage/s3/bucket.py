"""The bucket in Amazon S3, or in a store that speaks its protocol."""

from pipeline.storage.object_bucket import ObjectBucket
from pipeline.storage.objects import CallLimits
from pipeline.storage.pace import Pace
from pipeline.storage.s3.connection import Connection
from pipeline.storage.s3.objects import S3Objects


class S3Bucket(ObjectBucket):
    """The bucket in S3; see `pipeline.storage.bucket.Bucket`.

    AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3 selects another store.

    The generation of an object is its ETag, which Amazon computes from the content. So an object that was replaced by
    the same content, also by way of another one, counts as unchanged: `replace` succeeds, and `remove` removes it
    although somebody has written the same file again.

    Args:
        root: s3://bucket or s3://bucket/prefix. Nothing is connected before the first call.
        patience: the time limits of every call.

    Raises:
        BadInputError: the name of the bucket is malformed.
    """

    def __init__(self, root: str, *, patience: CallLimits | None = None) -> None:
        objects = S3Objects(Connection(root, patience or CallLimits()))
        # Amazon needs no pause between two writes of the same object.
        super().__init__(objects, Pace(0))
