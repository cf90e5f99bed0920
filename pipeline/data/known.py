"""What a snapshot knows of earlier ones: the newest manifest, and the parts of snapshots that were not completed."""

from typing import Any

from pipeline import layout
from pipeline.data.manifest_file import Manifest, Shard
from pipeline.data.manifests import read_parts
from pipeline.data.source import Source, shard_of
from pipeline.data.working_table import WorkingTable
from pipeline.spec import ModelSpec
from pipeline.storage.bucket import Bucket
from serving.images import RULES


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
        parts: the names of the parts of earlier snapshots.
        is_complete: whether the newest manifest is all that is known, and was made with the same settings.
    """

    def __init__(self, bucket: Bucket | None, model: str, newest: Manifest | None, settings: dict[str, Any]) -> None:
        self._bucket = bucket
        self._model = model
        self._newest = newest
        self._settings = settings
        self.parts = tuple(bucket.names(layout.snapshot_parts(model))) if bucket else ()
        self._lost = bucket.names(layout.lost_images(model)) if bucket else []
        is_same = newest is not None and newest.settings == settings
        self.is_complete = is_same and not self.parts and not self._lost

    def add_to(self, table: WorkingTable) -> frozenset[Shard]:
        """Add every known row to a table; the shards of which every image is known.

        Rows that were made with other settings, and rows whose images a run has missed in the bucket, have no stamp, so
        their files are read again.
        """
        shards = self._add_newest(table, self._newest) if self._newest else frozenset()
        for part in read_parts(self._bucket, self._model, self.parts) if self._bucket else ():
            if part.settings["reading"] == self._settings["reading"]:
                table.add_known(part.rows())
                shards |= part.shards
        lost = {shard_of(name) for name in table.forget_stored(self._lost)}
        return frozenset(shard for shard in shards if shard[0] not in lost)

    def _add_newest(self, table: WorkingTable, newest: Manifest) -> frozenset[Shard]:
        table.add_known(newest.rows())
        if newest.settings["splitting"] != self._settings["splitting"]:
            table.forget_splits()
        if newest.settings["reading"] != self._settings["reading"]:
            table.forget_all_stamps()
            return frozenset()
        return newest.shards
