"""Single objects in S3: the requests for one object or file."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import MissingError, StorageError
from pipeline.storage.leftovers import described
from pipeline.storage.objects import (
    ABSENT,
    LOOKS,
    PIECE,
    WRITER,
    ChangedError,
    Generation,
    Listed,
    StoredObject,
    in_parallel,
    never_at_rest,
)
from pipeline.storage.s3.connection import Connection
from pipeline.storage.sums import FileSum, crc32c_of, sum_of, sum_of_file

# The most bytes that one request to Amazon writes or copies.
LARGEST = 5 << 30


class S3Objects:
    """The objects of one bucket; see `pipeline.storage.objects.Objects`.

    Every object carries its CRC32C. If one does not, all of it is read to compute it. Some stores have no conditions
    for a copy (MinIO, as of October 2025): two processes that copy to the same key at once both write. Some have none
    for a removal (MinIO again): what was written since it was listed is removed too.
    """

    def __init__(self, at: Connection) -> None:
        self._at = at

    @property
    def address(self) -> str:
        return self._at.address

    def find(self, key: str) -> StoredObject | None:
        try:
            answer, content = self._at.ask(
                "read", key, partial(get, place=self._at.place(key), options={"ChecksumMode": "ENABLED"})
            )
        except MissingError:
            return None
        stored = crc32c_in(answer)
        if stored and stored != crc32c_of(content):
            raise StorageError(f"cannot read {key} in {self.address}: the data arrived damaged; try again")
        return StoredObject(content, answer["ETag"], answer["Metadata"].get(WRITER, ""))

    def write(self, key: str, content: bytes, *, generation: Generation, writer: str = "") -> None:
        condition = {"IfNoneMatch": "*"} if generation == ABSENT else {"IfMatch": generation}
        try:
            self._at.ask(
                "write",
                key,
                lambda client: client.put_object(
                    **self._at.place(key),
                    **condition,
                    **_carried(crc32c_of(content)),
                    Body=content,
                    CacheControl="no-store",
                    ContentType="text/plain",
                    Metadata={WRITER: writer} if writer else {},
                ),
            )
        except MissingError as error:
            # The object to be replaced was removed.
            raise ChangedError(str(error)) from error

    def names(self, key: str, *, after: str = "") -> list[str]:
        prefix = f"{self._at.prefix}{key}/"
        options = {"Delimiter": "/"} | ({"StartAfter": f"{prefix}{after}"} if after else {})
        pages = self._at.ask("list", key, lambda client: list(self._pages(client, prefix, **options)))
        names = {each["Key"] for page in pages for each in page.get("Contents", [])}
        names |= {each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])}
        # A folder of that name is listed too.
        return sorted({name for each in names if (name := each.removeprefix(prefix).rstrip("/")) > after})

    def listed(self, key: str) -> dict[str, Listed]:
        names = list(self.generations(key))
        found = in_parallel(lambda name: self._seen_if_there(f"{key}/{name}"), names)
        return {name: each for name, each in zip(names, found, strict=True) if each}

    def generations(self, key: str) -> dict[str, Generation]:
        prefix = f"{self._at.prefix}{key}/"
        pages = self._at.ask("list", key, lambda client: list(self._pages(client, prefix)))
        objects = [each for page in pages for each in page.get("Contents", [])]
        # A name that ends with a slash is a folder that was made by hand.
        return {each["Key"].removeprefix(prefix): each["ETag"] for each in objects if not each["Key"].endswith("/")}

    def sum(self, key: str, listed: Listed) -> FileSum:
        for _ in range(LOOKS):
            try:
                return sum_of(self._pieces(key, listed))
            except ChangedError:
                listed = self._seen(key)
        raise never_at_rest(key)

    def download(self, key: str, listed: Listed, path: Path) -> None:
        with path.open("wb") as stream:
            for piece in self._pieces(key, listed):
                stream.write(piece)

    def upload(self, files: Mapping[str, Path]) -> dict[str, StorageError]:
        failures = in_parallel(lambda key: self._uploaded(key, files[key]), files)
        return {key: error for key, error in zip(files, failures, strict=True) if error}

    def rewrite(self, source: str, original: Listed, key: str) -> None:
        _require_possible(original.size, f"cannot copy {source} to {key} in {self.address}")
        self._at.ask(
            f"copy {source} to",
            key,
            lambda client: client.copy_object(
                **self._at.place(key),
                CopySource=self._at.place(source),
                CopySourceIfMatch=original.generation,
                IfNoneMatch="*",
            ),
        )

    def remove(self, key: str, generation: Generation) -> None:
        self._at.ask("remove", key, lambda client: client.delete_object(**self._at.place(key), IfMatch=generation))

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """End multipart uploads that nobody has finished.

        Understudy makes none, but the owner of the bucket pays for them.

        MinIO lists none and removes them by itself.
        """
        found = []
        for upload in self._unfinished():
            if upload["Initiated"] >= older_than:
                continue
            if not dry_run:
                self._abort(upload)
            found.append(described(f"{upload['Key']}, an unfinished upload", since=upload["Initiated"]))
        return found

    def _uploaded(self, key: str, path: Path) -> StorageError | None:
        try:
            self._at.ask("upload", key, lambda client: self._put_file(client, key, path))
        except ChangedError:
            # The key existed already.
            return None
        except StorageError as error:
            return error
        return None

    def _put_file(self, client: Any, key: str, path: Path) -> None:
        listed = sum_of_file(path)
        _require_possible(listed.size, f"cannot upload {path} to {key} in {self.address}")
        with path.open("rb") as stream:
            client.put_object(**self._at.place(key), **_carried(listed.crc32c), Body=stream, IfNoneMatch="*")

    def _seen_if_there(self, key: str) -> Listed | None:
        try:
            return self._seen(key)
        except MissingError:
            # Removed since it was listed.
            return None

    def _seen(self, key: str) -> Listed:
        """What S3 knows of the current object; a listing has no checksums."""
        for _ in range(LOOKS):
            answer = self._at.ask(
                "look at", key, lambda client: client.head_object(**self._at.place(key), ChecksumMode="ENABLED")
            )
            seen = Listed(answer["ETag"], answer["ContentLength"], crc32c_in(answer))
            if seen.crc32c:
                return seen
            with suppress(ChangedError):
                return replace(seen, crc32c=sum_of(self._pieces(key, seen)).crc32c)
        raise never_at_rest(key)

    def _pieces(self, key: str, listed: Listed) -> Iterator[bytes]:
        """The content of the object in this generation, in pieces; each is retried alone."""
        for start in range(0, listed.size, PIECE):
            pinned = {"IfMatch": listed.generation, "Range": f"bytes={start}-{start + PIECE - 1}"}
            _, piece = self._at.ask("read", key, partial(get, place=self._at.place(key), options=pinned))
            yield piece

    def _pages(self, client: Any, prefix: str, **options: str) -> Iterator[dict[str, Any]]:
        pages = client.get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=self._at.bucket_name, Prefix=prefix, **options)

    def _unfinished(self) -> list[dict[str, Any]]:
        def uploads(client: Any) -> list[dict[str, Any]]:
            pages = client.get_paginator("list_multipart_uploads")
            asked = pages.paginate(Bucket=self._at.bucket_name, Prefix=self._at.prefix)
            return [upload for page in asked for upload in page.get("Uploads", [])]

        return self._at.ask("list the unfinished uploads of", "anything", uploads)

    def _abort(self, upload: Mapping[str, Any]) -> None:
        with suppress(MissingError):
            self._at.ask(
                "end the upload of",
                upload["Key"],
                lambda client: client.abort_multipart_upload(
                    Bucket=self._at.bucket_name, Key=upload["Key"], UploadId=upload["UploadId"]
                ),
            )


def get(client: Any, *, place: Mapping[str, str], options: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The answer and its content. They are read together, so that a content that breaks off is requested again."""
    answer = client.get_object(**place, **options)
    with answer["Body"] as body:
        return answer, body.read()


def _carried(crc32c: str) -> dict[str, str]:
    """The checksum that Amazon compares an upload with, and stores."""
    return {"ChecksumAlgorithm": "CRC32C", "ChecksumCRC32C": crc32c}


def crc32c_in(answer: Mapping[str, Any]) -> str:
    """The CRC32C of the whole content; empty for a checksum of parts, which ends with the number of parts."""
    found = str(answer.get("ChecksumCRC32C", ""))
    return "" if "-" in found or answer.get("ChecksumType") == "COMPOSITE" else found


def _require_possible(size: int, what: str) -> None:
    if size > LARGEST:
        raise StorageError(
            f"{what}: it has {size / 2**30:.1f} GiB and one request of S3 takes {LARGEST / 2**30:.0f}; use a smaller "
            "model, or another kind of bucket"
        )
