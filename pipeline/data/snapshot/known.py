"""What a snapshot knows of earlier ones: the newest manifest, and the parts of snapshots that were not completed."""

import logging
import re
from typing import Any

from pipeline import layout
from pipeline.data.snapshot.manifest_file import Manifest, Shard
from pipeline.data.snapshot.manifests import read_parts
from pipeline.data.snapshot.working_table import WorkingTable
from pipeline.data.source import Source, shard_of
from pipeline.errors import DamagedError
from pipeline.spec import ModelSpec
from pipeline.storage.bucket import Bucket
from serving.images import RULES

log = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")


def settings_of(spec: ModelSpec, source: Source) -> dict[str, Any]:
    """What a manifest depends on beside the files, for its metadata.

    If `reading` differs, every file is read again. If `splitting` differs, every split is decided again. If `deciding`
    differs, what was left out is decided again.
    """
    data = spec.data
    columns = {"slices": list(data.slices), "columns": dict(data.columns), "splits": data.splits}
    return {
        "reading": {
            "address": source.address,
            "rules": RULES,
            "channels": spec.image.channels,
            # What a shard says about its images is inside of it.
            **(columns if source.is_sharded else {}),
        },
        "splitting": {"validation": data.validation, "holdout": data.holdout, "splits": data.splits},
        "deciding": {**columns, "near_duplicates": data.near_duplicates, "tiny_edge": data.checks.tiny_edge},
    }


class Known:
    """What is known before a snapshot.

    Attributes:
        newest: the newest manifest; None if there is none, or it has turned out to be damaged.
        parts: the names of the parts of earlier snapshots.
        lost: the names of what a run has missed in the bucket: images by their SHA-256, and manifests.
    """

    def __init__(self, bucket: Bucket | None, model: str, newest: Manifest | None, settings: dict[str, Any]) -> None:
        self.newest = newest
        self.parts = tuple(bucket.names(layout.snapshot_parts(model))) if bucket else ()
        self.lost = tuple(bucket.names(layout.all_lost(model))) if bucket else ()
        self._bucket = bucket
        self._model = model
        self._settings = settings

    @property
    def is_all_in_newest(self) -> bool:
        """Whether the newest manifest is all that is known, and was made with the same settings."""
        is_same = self.newest is not None and self.newest.settings == self._settings
        return is_same and not self.parts and not self.lost

    def add_to(self, table: WorkingTable) -> frozenset[Shard]:
        """Add every known row to a table; the shards of which every image is known.

        Rows that were made with other settings, and rows whose images a run has missed in the bucket, have no stamp, so
        their files are read again.
        """
        shards = self._add_newest(table)
        for part in read_parts(self._bucket, self._model, self.parts) if self._bucket else ():
            if part.settings["reading"] == self._settings["reading"]:
                shards |= _added(part, table)
        digests = [name for name in self.lost if _DIGEST.fullmatch(name)]
        lost = {shard_of(name) for name in table.forget_stored(digests)}
        return frozenset(shard for shard in shards if shard[0] not in lost)

    def _add_newest(self, table: WorkingTable) -> frozenset[Shard]:
        if self.newest is None:
            return frozenset()
        try:
            table.add_known(self.newest.rows())
            table.add_known(row._replace(stamp="") for row in self.newest.vanished())
        except DamagedError as error:
            log.warning("%s; every image is read again, and splits of near-duplicates may change", error)
            table.forget_all()
            self.newest = None
            return frozenset()
        if self.newest.settings["splitting"] != self._settings["splitting"]:
            table.forget_splits()
        if self.newest.settings["reading"] != self._settings["reading"]:
            table.forget_stamps()
            return frozenset()
        return self.newest.shards


def _added(part: Manifest, table: WorkingTable) -> frozenset[Shard]:
    try:
        table.add_known(part.rows())
    except DamagedError as error:
        log.warning("%s; it is ignored, and its images are read again", error)
    return part.shards
