"""The entries of one journal in the bucket, each with the SHA-256 of its bytes."""

from collections.abc import Sequence

from pipeline import layout
from pipeline.errors import MissingError, StorageError
from pipeline.journal.entries import Entry
from pipeline.journal.folding import Summed
from pipeline.journal.pages import digest_of
from pipeline.storage.bucket import Bucket
from pipeline.stored import stored


class StoredEntries:
    """Reads entries by their numbers, and lists which there are."""

    def __init__(self, bucket: Bucket, model: str) -> None:
        self._bucket = bucket
        self._model = model

    def numbers(self, *, after: int = 0) -> list[int]:
        """The numbers of the entries after one, ascending and without gaps.

        Raises:
            StorageError: an entry is missing between two others, or the first ones are. Nothing may be decided on half
                a history.
        """
        numbers = self.listed(after=after)
        self.require_whole(numbers, after=after)
        return numbers

    def listed(self, *, after: int) -> list[int]:
        """The numbers of the entries after one that exist, ascending."""
        names = self._bucket.names(layout.journal(self._model), after=layout.entry_name(after))
        return sorted(seq for name in names if (seq := layout.entry_sequence(name)) is not None and seq > after)

    def require_whole(self, numbers: Sequence[int], *, after: int) -> None:
        """Check that these are all entries after one.

        Raises:
            StorageError: names those that are missing.
        """
        missing = sorted(set(range(after + 1, max(numbers, default=0) + 1)) - set(numbers))
        if missing:
            raise StorageError(f"the journal of {self._model} has no entry {missing}; restore what is missing")

    def read(self, numbers: Sequence[int]) -> list[Summed]:
        """The entries with these numbers.

        Raises:
            NewerVersionError: a newer version wrote one.
            StorageError: one is missing, or is not an entry.
        """
        keys = [layout.entry(self._model, seq) for seq in numbers]
        try:
            contents = self._bucket.read_all(keys)
        except MissingError as error:
            raise StorageError(f"the journal of {self._model} has lost an entry: {error}. Restore it") from error
        return [
            (parsed(key, seq, content), digest_of(content))
            for key, seq, content in zip(keys, numbers, contents, strict=True)
        ]


def parsed(key: str, seq: int, content: bytes) -> Entry:
    """An entry from its bytes.

    Args:
        key: where it is stored, for the message.
        seq: its number by its key.
        content: the bytes.

    Raises:
        NewerVersionError: a newer version wrote it.
        StorageError: it is not an entry, or not that one.
    """
    # Not a DamagedError, which callers take for a damaged version that they may skip.
    entry = stored(Entry, content, key=key, what="a journal entry", damaged=StorageError)
    if entry.seq != seq:
        raise StorageError(f"{key} holds entry {entry.seq}; restore both as they were written")
    return entry
