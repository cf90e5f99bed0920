"""The interface of every bucket."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipeline.storage.sums import FileSum

# Whether a copy or a removal is still wanted. It may read the bucket, but neither copy nor remove.
Still = Callable[[], bool]


class Bucket(Protocol):
    """Objects by key (see `pipeline.layout`), and folders: all objects whose keys begin with the folder's.

    Safe to use from many threads and by many processes. Every method raises `StorageError` if the storage refused or
    gave no answer, after it has retried transient errors. If the result of a write is not known, the object is read
    again and compared first.
    """

    def uri(self, key: str = "") -> str:
        """The address under which another process (TensorFlow, a model server) finds `key`."""

    def create(self, key: str, content: bytes) -> bool:
        """Store `content` under `key` unless the key exists; whether the key holds `content` now.

        A reader sees all of it or nothing. A call that is repeated because its answer was lost returns what the first
        would have.

        Raises:
            StorageError: it is not known whether the content was stored.
        """

    def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        """Store `content` under `key` if the key still holds `instead_of` (None: if it does not exist).

        Whether it was stored.

        No cache returns the old content to a reader afterwards.

        Raises:
            StorageError: the key holds either the old content or `content`; which of them is not known.
        """

    def read(self, key: str) -> bytes:
        """The content under `key`.

        Raises:
            MissingError: the key does not exist.
        """

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        """The contents under all `keys`, in their order.

        Raises:
            MissingError: one of them does not exist.
        """

    def names(self, key: str, *, after: str = "") -> list[str]:
        """The names directly under the folder `key`, sorted; empty if there is no such folder.

        Args:
            key: the folder.
            after: only names that sort after this one, by their code points. An object store looks up no others.
        """

    def upload(self, source: Path, key: str) -> None:
        """Store a folder of this machine under `key`. A file that exists there already is not changed.

        If it was interrupted, a repeated call adds what is missing. `saved_model.pb` comes last.

        Raises:
            StorageError: not every file is under `key`.
        """

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """The folder `key` on the disk of this machine, to be read inside the block.

        A bucket on a disk gives the folder itself. Any other one downloads it to a temporary folder, which is deleted
        when the block ends, and compares the checksum of every file.

        Raises:
            MissingError: there is no such folder.
            StorageError: a file did not arrive as it is stored, or this machine has no room for it.
        """

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        """Make the folder `source` of this bucket appear under `key`, complete and as `expected`.

        Until it is complete, `key` has no `saved_model.pb`, so a model server loads nothing. Files that exist under
        `key` are kept, and compared with `expected` too. Every byte is read: on a disk, of the copy, before it appears;
        in an object store, of the original. The store makes the copy, and the CRC32C that it computes for it is
        compared.

        Args:
            source: the folder to copy.
            key: the folder to create.
            expected: the sums of every file, by its path in the folder.
            still: whether the copy is still wanted; called as late as possible before the folder appears, and not if it
                exists already. On a disk no other process can copy or remove a folder beside it between this call and
                the appearance; in an object store it can.

        Returns:
            True if the folder is complete; False if `still` returned False. Then a disk has nothing under `key`; an
            object store may have files without `saved_model.pb`, which the next `copy` uses and `remove` removes.

        Raises:
            DamagedError: names each file that is not as expected. `key` has nothing new, or no `saved_model.pb`.
            MissingError: there is no folder `source`.
        """

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        """Remove the folder `key`, `saved_model.pb` first: a model server finds either all files or nothing to load.

        If it was interrupted, a repeated call finishes it. On a disk the whole folder disappears at once. In an object
        store it does not: what is written after this call has listed the folder stays. A process that may copy to `key`
        at the same time must check afterwards, or by `still`, what the remover has recorded before, because its copy
        may use files that are about to be removed.

        Args:
            key: the folder.
            still: whether the removal is still wanted; called before anything is removed, and not if there is nothing.
                On a disk no other process can copy or remove a folder beside it between this call and the removal; in
                an object store it can.

        Returns:
            True if the folder does not exist any more. False if `still` returned False, or if some of it was written
            again; repeat the call to remove that too.
        """

    def delete(self, key: str) -> None:
        """Delete one object; nothing happens if it does not exist. Only for what can be made again from other objects.

        In an object store a content that was stored since this call looked stays.
        """

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """Remove what processes that died have left, and that is not an object of the layout.

        Safe while others write. A call that began before `older_than` and has not ended may fail; nothing of it is
        visible then.

        Args:
            older_than: what was changed after this moment stays; with a time zone.
            dry_run: remove nothing.

        Returns:
            What was removed, or would be, each as text for people: name, size and age if they are known.
        """

    def sums(self, key: str) -> dict[str, FileSum]:
        """The sums of every file below the folder `key`, by its path in that folder. Every byte is read.

        Raises:
            MissingError: there is no such folder.
        """

    def checksums(self, key: str) -> dict[str, str]:
        """The CRC32C of every file below the folder `key`, as in `FileSum`.

        An object store is asked for them, without reading the files.

        Raises:
            MissingError: there is no such folder.
        """
