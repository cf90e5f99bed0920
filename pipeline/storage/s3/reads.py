"""What a tree of files needs of S3."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from pipeline.errors import StorageError
from pipeline.storage.object_tree import ObjectTree, Reads
from pipeline.storage.objects import CallLimits
from pipeline.storage.s3.connection import Connection
from pipeline.storage.s3.objects import crc32c_in, get
from pipeline.storage.sums import crc32c_of
from pipeline.storage.tree import Found


def open_s3_tree(address: str, patience: CallLimits, *, setting: str) -> ObjectTree:
    """The files below s3://bucket or s3://bucket/prefix; `setting` is where the address comes from, for messages.

    Raises:
        BadInputError: the name of the bucket is malformed.
    """
    return ObjectTree(S3Reads(Connection(address, patience, setting=setting)))


class S3Reads(Reads[Connection]):
    """The identity of a content is its ETag."""

    def pages(self) -> Iterator[list[Found]]:
        prefix = self._at.prefix
        for page in self._pages(prefix):
            yield [_found(each["Key"][len(prefix) :], each["Size"], each) for each in page.get("Contents", [])]

    def folders(self, prefix: str) -> list[str]:
        start = f"{self._at.prefix}{prefix}"
        pages = self._pages(start, Delimiter="/")
        names = {each["Prefix"][len(start) : -1] for page in pages for each in page.get("CommonPrefixes", [])}
        return sorted(names - {""})

    def find(self, name: str) -> tuple[Found, str]:
        answer = self._at.ask("look at", name, lambda client: client.head_object(**self._at.place(name)))
        return _found(name, answer["ContentLength"], answer), answer["ETag"]

    def read(self, name: str, stamp: str) -> bytes:  # noqa: ARG002 - S3 never answers with an older content
        options = {"ChecksumMode": "ENABLED"}
        answer, content = self._at.ask("read", name, partial(get, place=self._at.place(name), options=options))
        stored = crc32c_in(answer)
        if stored and stored != crc32c_of(content):
            raise StorageError(f"cannot read {name} in {self.address}: the data arrived damaged; try again")
        return content

    def read_range(self, name: str, identity: str, first: int, last: int) -> bytes:
        options = {"IfMatch": identity, "Range": f"bytes={first}-{last}"}
        _, content = self._at.ask("read", name, partial(get, place=self._at.place(name), options=options))
        return content

    def _pages(self, prefix: str, **options: Any) -> Iterator[dict[str, Any]]:
        """The answers to a listing, each of which is retried alone."""
        asked = {"Bucket": self._at.bucket_name, "Prefix": prefix, "MaxKeys": self._page, **options}
        while True:
            page = self._at.ask("list", "the files", lambda client: client.list_objects_v2(**asked))
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]


def _found(name: str, size: int, answer: dict[str, Any]) -> Found:
    return Found(name, size, answer["ETag"].strip('"'))
