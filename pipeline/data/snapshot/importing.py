"""A snapshot of the images of a model, as far as data is concerned.

List the source; read what is new, and store it; decide what counts and in which split. Files that the newest manifest
knows by name, size and stamp are not read. If the listing is that of the manifest, nothing more is done at all.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from pipeline.data.snapshot import manifests
from pipeline.data.snapshot.examined import Examined, require_usable
from pipeline.data.snapshot.known import Known, settings_of
from pipeline.data.snapshot.manifest_file import Manifest, Shard
from pipeline.data.snapshot.parts import Parts
from pipeline.data.snapshot.reading import Reader
from pipeline.data.snapshot.resolving import data_digest, resolve, summarised
from pipeline.data.snapshot.scratch import scratch_folder
from pipeline.data.snapshot.working_table import WorkingTable
from pipeline.data.source import Entry, Source, UnreadableError
from pipeline.data.sources.opening import open_source
from pipeline.spec import ModelSpec
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.measurements import DataSummary


@dataclass(frozen=True)
class Imported:
    """A snapshot that was stored: the digest of the data set, the folder of its manifest, and the figures."""

    digest: str
    manifest: str
    found: DataSummary


def import_images(bucket: Bucket, spec: ModelSpec, *, at: datetime) -> Imported:
    """Store every image of the model in the bucket, once per content, and list them.

    Raises:
        BadInputError: the source cannot be used, a file is unusable, or a label has too few images.
        StorageError: the source or the bucket does not answer. A repeated call continues there.
    """
    with examined(spec, at=at, bucket=bucket) as found:
        require_usable(found, spec.data.checks)
        return Imported(found.digest, found.store(bucket), found.found)


@contextmanager
def examined(
    spec: ModelSpec, *, at: datetime, bucket: Bucket | None = None, seconds: float = 30.0
) -> Iterator[Examined]:
    """List the source of a model, and read what is new. The result is valid inside the block.

    Args:
        spec: the model.
        at: the moment of this snapshot, in UTC.
        bucket: where images are stored, and the newest manifest is; None: read every file, and store nothing.
        seconds: for how long a call to the source is retried.

    Raises:
        BadInputError: the source as a whole cannot be used.
        StorageError: the source or the bucket does not answer. What was read is kept in the bucket.
    """
    source = open_source(spec.data, seconds=seconds)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        table = WorkingTable(scratch)
        stack.callback(table.close)
        newest = stack.enter_context(manifests.newest(bucket, spec.name)) if bucket else None
        yield _Snapshot(spec, source, at, bucket, scratch, table, newest).examine()


@dataclass
class _Snapshot:
    """The steps of `examined`."""

    spec: ModelSpec
    source: Source
    at: datetime
    bucket: Bucket | None
    scratch: Path
    table: WorkingTable
    newest: Manifest | None
    shards: set[Shard] = field(default_factory=set)

    def examine(self) -> Examined:
        settings = settings_of(self.spec, self.source)
        known = Known(self.bucket, self.spec.name, self.newest, settings)
        entries = self.source.entries(self.table.add_problem)
        same = 0
        if known.is_all_in_newest and self.newest:
            same, entries, is_same = _compared(self.newest, entries, is_sharded=self.source.is_sharded)
            if is_same:
                return self._examined(settings, known, self.newest.digest, self._unchanged(self.newest), unchanged=True)
        known_shards = known.add_to(self.table)
        if known.newest is not self.newest:
            # The beginning of the listing was to be read there.
            self.newest = None
            self.table.forget_problems()
            entries, same = self.source.entries(self.table.add_problem), 0
        self.table.add_listing(chain(self.newest.listed(same), entries) if self.newest and same else entries)
        parts = Parts(self.bucket, self.spec, self.scratch, settings)
        with parts.kept_on_errors():
            if self.source.is_sharded:
                self._read_shards(known_shards, parts)
            else:
                self._read_files(parts)
        data = self.spec.data
        resolve(
            self.table.database, data, at=self.at.isoformat(), named=self.source.named_splits, shown=self.source.shown
        )
        found = summarised(self.table.database, tiny_edge=data.checks.tiny_edge)
        return self._examined(settings, known, data_digest(self.table.database), found, parts=parts.names)

    def _unchanged(self, newest: Manifest) -> DataSummary:
        """The figures of the newest manifest, with the problems of this listing."""
        unusable = newest.unusable_rows + self.table.count_problems()
        files = newest.found.files - newest.found.unusable + unusable
        return newest.found.model_copy(update={"unusable": unusable, "files": files})

    def _read_files(self, parts: Parts) -> None:
        self.table.take_known()
        rows = self._reader().files(self.table.unread(), self.table.add_problem)
        self.table.add_rows((ordinal, parts.keep(row)) for ordinal, row in rows)

    def _read_shards(self, known: frozenset[Shard], parts: Parts) -> None:
        complete = {shard[:3]: shard for shard in known if shard[2]}
        ordinals = count()
        for entry in self.table.listed():
            shard = complete.get((entry.name, entry.size, entry.stamp))
            if shard and self.table.take_shard(shard, ordinals):
                self.shards.add(shard)
                continue
            problems = self.table.count_problems()
            rows = self._reader().shard(entry, self.table.add_problem)
            try:
                number = self.table.add_rows((next(ordinals), parts.keep(row)) for row in rows)
            except UnreadableError as error:
                self.table.add_problem(self.source.shown(entry.name), str(error))
                continue
            # A shard with a problem is read again, so that the problem is named again.
            if entry.stamp and self.table.count_problems() == problems:
                whole = (entry.name, entry.size, entry.stamp, number)
                self.shards.add(whole)
                parts.complete(whole)

    def _reader(self) -> Reader:
        return Reader(self.source, self.bucket, self.spec.name, self.spec.image.channels, self.at.isoformat())

    def _examined(
        self,
        settings: dict[str, Any],
        known: Known,
        digest: str,
        found: DataSummary,
        *,
        unchanged: bool = False,
        parts: Iterable[str] = (),
    ) -> Examined:
        return Examined(
            model=self.spec.name,
            source=self.source,
            at=self.at,
            digest=digest,
            found=found,
            newest=self.newest,
            is_unchanged=unchanged,
            settings=settings,
            shards=frozenset(self.shards),
            slices=self.spec.data.slices,
            tiny_edge=self.spec.data.checks.tiny_edge,
            table=self.table,
            replaced_parts=(*known.parts, *parts),
            repaired=known.lost,
            scratch=self.scratch,
        )


def _compared(newest: Manifest, entries: Iterator[Entry], *, is_sharded: bool) -> tuple[int, Iterator[Entry], bool]:
    """Compare a listing with that of the newest manifest.

    Returns:
        How many entries are the same from the beginning, the entries after these, and whether all are the same.
    """
    if not is_sharded:
        same, taken = newest.same_entries(entries)
        return same, chain(taken, entries), same == newest.count and not taken
    listed = list(entries)
    stamped = {(each.name, each.size, each.stamp) for each in listed if each.stamp}
    is_same = stamped == {shard[:3] for shard in newest.shards} and len(stamped) == len(listed)
    return 0, iter(listed), is_same and sum(shard[3] for shard in newest.shards) == newest.count
