"""Checkpoints in the bucket: what the entries up to one say, so that a decision reads only those after it.

They are derived from the entries, which alone are true. A checkpoint is named by the number and the SHA-256 of its
entry. A reader compares that with the entry as it is now, so a checkpoint of a journal that was lost and written again
is not used. One that is missing, damaged or of another version is not used either, and the next verb that writes makes
a new one. Two writers make the same bytes, so they need no lock; see `pipeline.journal.folding`.
"""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import layout
from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.journal.entries import Entry
from pipeline.journal.facts import JournalFacts
from pipeline.journal.pages import DamagedPageError, Pages, digest_of, packed
from pipeline.journal.past import Past, Source
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)


class Checkpoint(BaseModel):
    """A checkpoint as it is stored.

    Attributes:
        format: changes when an older version could misunderstand it.
        seq: the number of the entry it stands for.
        sha256: of the bytes of that entry, in hexadecimal.
        chain: over the digests of all entries up to that one, see `pipeline.journal.folding.linked`.
        facts: about the journal as a whole.
        pages: the SHA-256 of each page, by its name.
        own: the SHA-256 of all the above, as `pipeline.journal.pages.packed`. It shows damage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    seq: int
    sha256: str
    chain: str
    facts: JournalFacts
    pages: dict[str, str]
    own: str = ""

    def signed(self) -> "Checkpoint":
        """The same with the right `own`."""
        return self.model_copy(update={"own": digest_of(packed(self.model_dump(mode="json", exclude={"own"})))})


class Checkpoints:
    """The checkpoints of one journal.

    Attributes:
        unlisted: why they could not be listed, when `usable` was last called; None if they could.
    """

    def __init__(self, bucket: Bucket, model: str) -> None:
        self.unlisted: StorageError | None = None
        self._bucket = bucket
        self._model = model

    def names(self, *, after: int | None = None) -> list[tuple[int, str]]:
        """The checkpoints of the entries after one: each entry's number and the beginning of its SHA-256; ascending."""
        names = self._bucket.names(
            layout.journal_checkpoints(self._model), after=f"{after:08d}~" if after is not None else ""
        )
        return sorted(found for name in names if (found := layout.checkpoint_entry(name)) is not None)

    def usable(self, *, after: int) -> list[tuple[int, str]]:
        """As `names`; none if the bucket refuses to list them: they are not needed."""
        self.unlisted = None
        try:
            return self.names(after=after)
        except StorageError as error:
            self.unlisted = error
            return []

    def find(self, seq: int, digest: str) -> Checkpoint | None:
        """As `read`; None for one that cannot be read, for whatever reason."""
        try:
            return self.read(seq, digest)
        except StorageError as error:
            log.warning("a checkpoint is ignored: %s", error)
            return None

    def read(self, seq: int, digest: str) -> Checkpoint:
        """One checkpoint. Whether it stands for the entry as it is now, the caller must check.

        Args:
            seq: the number of its entry.
            digest: the beginning of that entry's SHA-256.

        Raises:
            DamagedError: it is damaged, or this version cannot read it.
            MissingError: there is none.
        """
        key = layout.journal_checkpoint(self._model, seq, digest)
        content = self._bucket.read(key)
        try:
            found = Checkpoint.model_validate_json(content)
        except ValidationError as error:
            raise DamagedError(f"{key} is not a checkpoint that this version can read") from error
        if found.seq != seq or not found.sha256.startswith(digest) or found != found.signed():
            raise DamagedError(f"{key} is damaged")
        return found

    def bad_pages(self, pages: Iterable[tuple[str, str]]) -> list[str]:
        """The keys of those pages that are missing, or are not what their names say; all are read at once.

        Args:
            pages: the name and the SHA-256 of each.
        """
        keys = {layout.journal_page(self._model, name, digest): digest for name, digest in pages}
        try:
            contents = dict(zip(keys, self._bucket.read_all(list(keys)), strict=True))
        except MissingError:
            return [key for key, digest in keys.items() if self._is_bad(key, digest)]
        return [key for key, digest in keys.items() if digest_of(contents[key]) != digest]

    def _is_bad(self, key: str, digest: str) -> bool:
        try:
            return digest_of(self._bucket.read(key)) != digest
        except MissingError:
            return True

    def past(self, checkpoint: Checkpoint, last: Entry, source: Source) -> Past:
        """The past up to a checkpoint. Its pages are read when they are needed.

        Args:
            checkpoint: which matches `last`.
            last: its entry.
            source: reads entries.
        """
        pages = Pages(checkpoint.pages, partial(self._page, checkpoint.seq))
        return Past(
            seq=checkpoint.seq,
            chain=checkpoint.chain,
            last=last,
            facts=checkpoint.facts,
            pages=pages,
            source=source,
            is_stored=True,
        )

    def _page(self, seq: int, name: str, digest: str) -> bytes:
        key = layout.journal_page(self._model, name, digest)
        try:
            content = self._bucket.read(key)
        except StorageError as error:
            raise DamagedPageError(f"a page of the checkpoint of entry {seq} cannot be read: {error}") from error
        if digest_of(content) != digest:
            raise DamagedPageError(f"{key}, a page of the checkpoint of entry {seq}, is not what its name says")
        return content

    def store(self, past: Past, sha256: str) -> None:
        """Store the checkpoint of a past: first the pages that are new, then the checkpoint, which names them.

        Args:
            past: up to the entry it stands for.
            sha256: of that entry.

        Raises:
            StorageError: the bucket refused. What was stored is not used, and does no harm.
        """
        digests, contents = past.pages.contents()
        for (name, digest), content in contents.items():
            self._put(layout.journal_page(self._model, name, digest), content)
        checkpoint = Checkpoint(
            seq=past.seq, sha256=sha256, chain=past.chain, facts=past.facts, pages=dict(sorted(digests.items()))
        )
        content = checkpoint.signed().model_dump_json(indent=1).encode()
        self._put(layout.journal_checkpoint(self._model, past.seq, sha256), content)

    def _put(self, key: str, content: bytes) -> None:
        """Create an object, or replace one that was damaged: its content follows from its name."""
        while not self._bucket.create(key, content):
            try:
                found = self._bucket.read(key)
            except MissingError:
                continue
            if self._bucket.replace(key, content, instead_of=found):
                log.warning("%s was damaged, and is repaired", key)
                return
