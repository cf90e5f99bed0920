"""Lists of images that nothing needs any more: manifests that no kept run names, and parts of interrupted snapshots."""

import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pipeline import layout
from pipeline.context import ModelContext
from pipeline.data.snapshot.manifests import read_parts
from pipeline.errors import DamagedError, NewerVersionError
from pipeline.rules.retention import RetentionLimits, old_lists
from pipeline.runs.records import SnapshotRecord
from pipeline.runs.run_key import is_run_key
from pipeline.runs.run_records import RunRecords

log = logging.getLogger(__name__)

# Reading is mostly waiting for the storage.
_THREADS = 8


def old_manifests(context: ModelContext, terms: RetentionLimits, *, deleted_runs: Collection[str]) -> list[str]:
    """The folders of manifests that are old and that no kept run names.

    A young run may name an old manifest, if its images were the same. If the record of a kept run cannot be read, it is
    not known what it names, and nothing is deleted.

    Args:
        context: of the model.
        terms: the limits.
        deleted_runs: the runs that are deleted as well.

    Raises:
        StorageError: the bucket does not answer.
    """
    folder, names = layout.snapshots(context.model), context.bucket.names
    dated = {name: moment for name in names(folder) if (moment := layout.snapshot_moment(name)) is not None}
    old = [f"{folder}/{name}" for name in old_lists(dated, terms)]
    if not old:
        return []
    kept = [key for key in names(layout.runs(context.model)) if is_run_key(key) and key not in deleted_runs]
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            named = set(pool.map(lambda key: _named(context, key), kept))
    except (DamagedError, NewerVersionError) as error:
        log.warning("%s; so it is not known which list of images that run needs, and none is deleted", error)
        return []
    return [key for key in old if key not in named]


def old_parts(context: ModelContext, terms: RetentionLimits) -> list[str]:
    """The folders of parts that are old. Their images are in no list, so the next snapshot reads those files again.

    A part that cannot be read stays: its age is not known.
    """
    return sorted(key for key, moment in _dated_parts(context) if terms.is_old_for_a_run(moment))


def _named(context: ModelContext, key: str) -> str:
    """The folder of the manifest that a run names; empty if it names none."""
    found = RunRecords(context.bucket, context.model, key).find(SnapshotRecord)
    return found.manifest if found else ""


def _dated_parts(context: ModelContext) -> Iterator[tuple[str, datetime]]:
    """Each part that can be read, and when its youngest image was seen first."""
    names = context.bucket.names(layout.snapshot_parts(context.model))
    for part in read_parts(context.bucket, context.model, names):
        newest = max((row.since for row in part.rows()), default="")
        if newest:
            yield part.key, datetime.fromisoformat(newest)
