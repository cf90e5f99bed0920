"""The identity of a bucket: a random id in an object at its root.

Several buckets often share an MLflow. Runs and registered versions carry this id, so that no bucket changes what
belongs to another one. The address would not do: a bucket may be moved, or mounted under another path.
"""

import secrets
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from pipeline import layout
from pipeline.errors import DamagedError, MissingError
from pipeline.storage.bucket import Bucket
from pipeline.stored import stored


@dataclass(frozen=True)
class Identity:
    """The identity of a bucket. `id` is empty if it has none yet; `address` is where the bucket is now, for people."""

    id: str
    address: str

    def __str__(self) -> str:
        return f"{self.address}, id {self.id}" if self.id else self.address


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=8, max_length=100, pattern=r"^[0-9a-zA-Z-]+$")


def find_identity(bucket: Bucket) -> Identity:
    """The identity of the bucket; its id is empty if none was written yet.

    Raises:
        DamagedError: the object exists and holds no id.
        NewerVersionError: a newer version wrote it.
        StorageError: the bucket gives no answer.
    """
    try:
        content = bucket.read(layout.IDENTITY)
    except MissingError:
        return Identity("", bucket.uri())
    try:
        found = stored(_Stored, content, key=bucket.uri(layout.IDENTITY), what="an identity")
    except DamagedError as error:
        raise DamagedError(
            f"{bucket.uri(layout.IDENTITY)} does not hold the id of this bucket: restore it, as "
            f'{{"id": "..."}} with the tag understudy.bucket of any of its runs in MLflow'
        ) from error
    return Identity(found.id, bucket.uri())


def make_identity(bucket: Bucket) -> Identity:
    """The identity of the bucket, which is created if there is none.

    All processes that create it at once get the same id.

    Raises:
        DamagedError: the object exists and holds no id.
        StorageError: the bucket refused, or gives no answer.
    """
    found = find_identity(bucket)
    if found.id:
        return found
    bucket.create(layout.IDENTITY, _Stored(id=secrets.token_hex(8)).model_dump_json().encode())
    return find_identity(bucket)
