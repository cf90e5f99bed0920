"""What a tree of files needs of Google Cloud Storage."""

from collections.abc import Iterator
from typing import Any

from pipeline.storage.gcs.connection import Connection
from pipeline.storage.object_tree import ObjectTree, Reads
from pipeline.storage.objects import CallLimits
from pipeline.storage.sums import crc32c_of
from pipeline.storage.tree import Found

_FIELDS = "name,size,crc32c,generation"


def open_gcs_tree(address: str, patience: CallLimits, *, setting: str) -> ObjectTree:
    """The files below gs://bucket or gs://bucket/prefix; `setting` is where the address comes from, for messages.

    Raises:
        BadInputError: the name of the bucket is malformed.
    """
    return ObjectTree(GcsReads(Connection(address, patience, setting=setting, role="roles/storage.objectViewer")))


class GcsReads(Reads[Connection]):
    """The identity of a content is its generation."""

    def pages(self) -> Iterator[list[Found]]:
        prefix = self._at.prefix
        for page in self._pages(prefix, fields=f"items({_FIELDS}),nextPageToken"):
            yield [_found(blob.name[len(prefix) :], blob) for blob in page]

    def folders(self, prefix: str) -> list[str]:
        start = f"{self._at.prefix}{prefix}"
        names: set[str] = set()
        for page in self._pages(start, delimiter="/", fields="prefixes,nextPageToken"):
            names |= {each[len(start) : -1] for each in page.prefixes}
        return sorted(names - {""})

    def find(self, name: str) -> tuple[Found, str]:
        with self._at.asked("look at", name):
            blob = self._at.blob(name)
            blob.reload(**self._at.bounds)
            return _found(name, blob), str(blob.generation)

    def read(self, name: str, stamp: str) -> bytes:
        """Read the object.

        A public one may come from a cache of Google's, for an hour after it was replaced. So a content that is not as
        it was listed is read again, in the current generation, which no cache mixes up with another one.
        """
        content = self._content(name)
        if not stamp or crc32c_of(content) == stamp:
            return content
        _, generation = self.find(name)
        return self._content(name, generation=int(generation))

    def read_range(self, name: str, identity: str, first: int, last: int) -> bytes:
        with self._at.asked("read", name):
            blob = self._at.blob(name, generation=int(identity))
            # Google has a checksum of the whole content only.
            return bytes(blob.download_as_bytes(start=first, end=last, checksum=None, **self._at.bounds))

    def _content(self, name: str, **options: int) -> bytes:
        with self._at.asked("read", name):
            return bytes(self._at.blob(name, **options).download_as_bytes(checksum="crc32c", **self._at.bounds))

    def _pages(self, prefix: str, **options: Any) -> Iterator[Any]:
        """The answers to a listing, each of which is retried alone."""
        with self._at.asked("list", "the files"):
            pages = self._at.client.list_blobs(
                self._at.bucket_name, prefix=prefix, page_size=self._page, **options, **self._at.bounds
            ).pages
        while True:
            with self._at.asked("list", "the files"):
                page = next(pages, None)
            if page is None:
                return
            yield page


def _found(name: str, blob: Any) -> Found:
    return Found(name, int(blob.size or 0), blob.crc32c or str(blob.generation))
