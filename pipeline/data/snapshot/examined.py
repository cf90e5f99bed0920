"""What a snapshot has found in a source, before anybody has decided whether it may be used."""

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import layout
from pipeline.data.snapshot import manifest_file, manifests
from pipeline.data.snapshot.manifest_file import Manifest, Shard
from pipeline.data.snapshot.rows import Row
from pipeline.data.snapshot.working_table import WorkingTable
from pipeline.data.source import Source
from pipeline.errors import BadInputError
from pipeline.problems import Problems
from pipeline.spec import DataChecks
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.labels import quoted
from pipeline.verdicts.measurements import DataSummary, Split

log = logging.getLogger(__name__)

# Each label needs an image in these.
_NEEDED: tuple[Split, ...] = ("train", "holdout")


class NewImage(NamedTuple):
    """An image that the newest manifest does not have: its path for people, its label, and its key in the bucket."""

    path: str
    label: str
    key: str


@dataclass(frozen=True)
class Examined:
    """A source that was listed and read. To be used only inside the block of `importing.examined`.

    Attributes:
        model: the name of the model.
        source: where the images are.
        at: the moment of this snapshot.
        digest: of the data set, see `SnapshotRecord`.
        found: the figures.
        newest: the newest manifest before this snapshot; None if there is none.
        is_unchanged: whether the listing is that of `newest`.
        settings: how images were read and split.
        shards: each shard that was read to its end, without a problem.
        slices: the names of the slices.
        tiny_edge: an image with a shorter side, in pixels, is tiny.
        table: a row for each file; empty if nothing has changed, apart from the problems of the listing.
        replaced_parts: the parts of earlier snapshots and of this one, which a manifest replaces.
        repaired: the names of what a run has missed in the bucket, and this snapshot has stored again.
        scratch: a folder for files that end with the block.
    """

    model: str
    source: Source
    at: datetime
    digest: str
    found: DataSummary
    newest: Manifest | None
    is_unchanged: bool
    settings: dict[str, Any]
    shards: frozenset[Shard]
    slices: tuple[str, ...]
    tiny_edge: int
    table: WorkingTable
    replaced_parts: tuple[str, ...]
    repaired: tuple[str, ...]
    scratch: Path

    @property
    def address(self) -> str:
        """Where the images are."""
        return self.source.address

    @property
    def previous(self) -> DataSummary | None:
        """The figures of the snapshot before; None if there is none."""
        return self.newest.found if self.newest else None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Each unusable file: its path, and why as the end of a sentence."""
        yield from self.table.problems()
        if self.found.unusable > self.table.count_problems():
            for row in self._rows():
                if row.status == "unusable":
                    yield self.source.shown(row.name), row.note or ""

    def remarks(self) -> Iterator[tuple[str, str, str]]:
        """Usable files that are worth a look: kind, path, and why. A file may be named several times."""
        for row in self._rows():
            path = self.source.shown(row.name)
            for kind, reason in _remarks(row, self.tiny_edge):
                yield kind, path, reason

    def new_images(self) -> Iterator[NewImage]:
        """Images in a split that the newest manifest does not have, in the order of their contents.

        What a snapshot has read that was refused or interrupted is still new.
        """
        before = self.newest.at if self.newest else None
        found = self.table.database.execute(
            "SELECT name, label, stored, suffix FROM files WHERE split IS NOT NULL AND since > ? ORDER BY digest",
            (before.isoformat() if before else "",),
        )
        for name, label, stored, suffix in found:
            yield NewImage(self.source.shown(name), label, layout.image(self.model, stored.hex(), suffix))

    def has_too_many_unusable(self, checks: DataChecks) -> bool:
        """Whether more files are unusable than `checks.unusable` allows."""
        return self.found.unusable > checks.unusable * self.found.files

    def shortcomings(self) -> list[str]:
        """What is wrong with the data set as a whole: a classifier could not be trained, or not judged."""
        labels = sorted(self.found.counts)
        found = [
            f"the labels {quoted(alike)} look the same: they differ only in how Unicode composes letters; give them "
            f"one spelling"
            for alike in _alike(labels)
        ]
        if len(labels) < 2:
            found.append(
                f"{self.address} holds usable images of {len(labels)} label{'' if len(labels) == 1 else 's'}; a "
                f"classifier needs two"
            )
        near = self.found.near_duplicates
        why = f" ({near:,} images are in the split of one that looks like them: data.near_duplicates)" if near else ""
        return found + [
            f"label {label!r} has no image in the {split} split; add images of it{why}"
            for label in labels
            for split in _NEEDED
            if not self.found.counts[label].get(split)
        ]

    def store(self, bucket: Bucket) -> str:
        """Store the manifest, which the next snapshot then knows; its folder in the bucket.

        If nothing has changed, it is the one that exists.
        """
        if self.is_unchanged and self.newest:
            return self.newest.key
        folder = self.scratch / "manifest"
        folder.mkdir()
        manifest_file.write(
            folder / manifests.FILE,
            self.table.rows(),
            slices=self.slices,
            settings=self.settings,
            shards=self.shards,
            digest=self.digest,
            found=self.found,
            unusable_rows=self.found.unusable - self.table.count_problems(),
        )
        manifest_file.write(
            folder / manifest_file.VANISHED,
            self.table.vanished(),
            slices=self.slices,
            settings=self.settings,
            shards=(),
        )
        key = manifests.store(bucket, self.model, folder, digest=self.digest, at=self.at)
        manifests.remove_parts(bucket, self.model, self.replaced_parts)
        for name in self.repaired:
            bucket.remove(layout.lost(self.model, name))
        return key

    def _rows(self) -> Iterator[Row]:
        return self.newest.rows() if self.is_unchanged and self.newest else self.table.rows()


def _alike(labels: Sequence[str]) -> list[list[str]]:
    """Labels that people cannot tell apart."""
    composed: dict[str, list[str]] = {}
    for label in labels:
        composed.setdefault(unicodedata.normalize("NFC", label), []).append(label)
    return [same for same in composed.values() if len(same) > 1]


def _remarks(row: Row, tiny_edge: int) -> Iterator[tuple[str, str]]:
    if row.status in ("duplicate", "left out"):
        yield row.status, row.note or ""
    if row.split is None:
        return
    if row.note:
        yield "near-duplicate", f"{row.note}, so it is in the split {row.split}"
    if row.stored != row.digest:
        yield "converted", f"is stored as {row.suffix}"
    if row.blank:
        yield "blank", "has nearly the same value in each pixel"
    if min(row.width, row.height) < tiny_edge:
        yield "tiny", f"has {row.width} x {row.height} pixels"


def add_problems(data: Examined, checks: DataChecks, problems: Problems) -> None:
    """Name each label that lacks images, and each unusable file if there are more than `checks.unusable` allows."""
    for shortcoming in data.shortcomings():
        problems.add(shortcoming)
    if data.has_too_many_unusable(checks):
        for path, reason in data.problems():
            problems.add(f"{path} {reason}")


def require_usable(data: Examined, checks: DataChecks, *, report: str = "") -> None:
    """Check that a classifier can be trained and judged with these images.

    Args:
        data: what was found.
        checks: the limits of the model file.
        report: where the report is, for the message; empty if there is none.

    Raises:
        BadInputError: more files are unusable than `checks.unusable` allows, or a label lacks images; names all of
            them, up to a limit.
    """
    problems = Problems()
    add_problems(data, checks, problems)
    unusable, files = data.found.unusable, data.found.files
    if problems:
        share = f"unusable files {unusable} of {files} > {100 * checks.unusable:g}% (data.checks.unusable)"
        ends = [share] if data.has_too_many_unusable(checks) else []
        ends += [f"all of them are in the report, {report}"] if report else []
        raise BadInputError("\n  ".join([f"data.images: {problems}", *ends]))
    if unusable:
        log.warning("%d of %d files are unusable, and skipped: see the report", unusable, files)


def summary(found: DataSummary) -> str:
    """A sentence: how many images and labels there are, and how many images in each split."""
    splits: tuple[Split, ...] = ("holdout", "train", "validation")
    counted = ", ".join(f"{count} {split}" for split in splits if (count := found.images(split)))
    return f"{found.images()} images of {len(found.counts)} labels: {counted}"
