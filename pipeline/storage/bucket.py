"""What every bucket promises, whatever it is made of."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipeline.storage.sums import FileSum

# Whether what was decided holds yet: asked at the last moment, so it may read the bucket, but neither copy nor remove.
Still = Callable[[], bool]


class Bucket(Protocol):
    """Objects by key (see `pipeline.layout`), and folders: all objects whose keys begin with the folder's.

    Safe to use from many threads and by many processes. Every method raises `StorageError` where the storage refused
    or gave no answer, after having tried again for as long as it makes sense. Where a write's result is not known the
    object is read again and compared before anything is said.
    """

    def uri(self, key: str = "") -> str:
        """The address under which another process (TensorFlow, a model server) finds `key`."""

    def create(self, key: str, content: bytes) -> bool:
        """Store `content` under `key` unless something else is there; whether `content` is what is there now.

        A reader sees all of it or nothing. So whoever repeats a call that was cut off gets the answer of the first.

        Raises:
            StorageError: whether the content is there is not known.
        """

    def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        """Store `content` under `key` if what is there still is `instead_of` (None: nothing); whether it was.

        No cache between us and a reader keeps what was there before.

        Raises:
            StorageError: what was there, or `content`, is there now; which of them is not known.
        """

    def read(self, key: str) -> bytes:
        """The content under `key`.

        Raises:
            MissingError: there is none.
        """

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        """The contents under all `keys`, in their order.

        Raises:
            MissingError: one of them is not there.
        """

    def names(self, key: str) -> list[str]:
        """The names directly under the folder `key`, sorted; none where there is nothing."""

    def upload(self, source: Path, key: str) -> None:
        """Store a folder of this machine under `key`. A file that is there already is left as it is.

        Stopped half-way and repeated, it completes what is missing; `saved_model.pb` comes last.

        Raises:
            StorageError: not everything is under `key`.
        """

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """The folder `key` on the disk of this machine, to be read inside the block.

        A bucket on a disk gives the folder itself. Any other downloads it to a temporary folder, which is deleted when
        the block ends, and compares the checksum of every file.

        Raises:
            MissingError: there is no such folder.
            StorageError: not everything arrived as it is stored, or this machine has no room for it.
        """

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        """Make the folder `source` of this bucket appear under `key`, complete and as `expected`.

        Until then no `saved_model.pb` is there, and so nothing a model server would load. What is under `key` already
        is kept, completed where this storage can have left it incomplete, and held to the same expectation. Every byte
        is read: of the copy on a disk, before it appears; of the original in an object store, which copies by itself
        and takes the CRC32C of what it has made.

        Args:
            source: the folder that is copied.
            key: the folder that appears.
            expected: the sums of every file in it.
            still: asked as late as possible before the folder appears, and not where it is there already. On a disk
                nobody copies to, or removes, a folder beside it between the answer and the appearing; elsewhere
                somebody may.

        Returns:
            True where the folder is there; False where `still` said no. Then a disk has nothing under `key`; an object
            store may have files without `saved_model.pb`, which the next copy uses and `remove` removes.

        Raises:
            DamagedError: a file is not what is expected; names each. Nothing is under `key` that was not there before,
                or no `saved_model.pb` is.
            MissingError: there is no folder `source`.
        """

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        """Make the folder `key` go, `saved_model.pb` first: a model server finds all of it or nothing to load.

        Stopped half-way and repeated, it finishes. On a disk the folder goes at once. An object store has no such
        step: there what somebody has written since this call looked stays. Whoever may copy to `key` at the same time
        must ask afterwards, or by `still`, what the remover has written down before: the copy may use files that are
        about to go.

        Args:
            key: the folder.
            still: asked before anything goes, and not where there is nothing. On a disk nobody copies to, or removes,
                a folder beside it between the answer and the going; elsewhere somebody may.

        Returns:
            True where the folder is gone, also where there was none. False where `still` said no, or where something
            of it is there again: repeat it where that must go as well.
        """

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """Remove what dead processes have left that is no object of ours.

        Safe beside writers at work: a call that began before `older_than` and has not ended may fail, and nothing of
        it is visible then.

        Args:
            older_than: what was touched since then stays; with a time zone.
            dry_run: remove nothing.

        Returns:
            What was removed, or would be, each for a person to read: name, size and age where they are known.
        """

    def sums(self, key: str) -> dict[str, FileSum]:
        """Of every file below the folder `key`, by its path in that folder: every byte of it is read back.

        Raises:
            MissingError: there is no such folder.
        """

    def checksums(self, key: str) -> dict[str, str]:
        """The CRC32C of every file below the folder `key`, as `FileSum` has it: in the cheapest way the storage has.

        Raises:
            MissingError: there is no such folder.
        """
