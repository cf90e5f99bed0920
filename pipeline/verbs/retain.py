"""Delete old versions, runs, lists of images and leftovers; at any time, beside any verb and beside itself.

First the journal says what is retired, then the config and what lies below the base path follow it, and only then files
are deleted. So nobody who decides anything meanwhile, however slowly, counts on files that go; and what a crash has
left of the files is deleted by the next one. Manifests and the journal stay, for whoever asks later what there was; so
do images (`data/`), which all runs share, and measurements (`baselines/`), which are small.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from pipeline import layout
from pipeline.context import RunContext
from pipeline.errors import BadInputError, DamagedError, NewerVersionError
from pipeline.inspection.known_models import nothing_released
from pipeline.inspection.old_snapshots import old_manifests, old_parts
from pipeline.inspection.retained import Retained
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History
from pipeline.journal.old_checkpoints import delete_checkpoints, old_checkpoints
from pipeline.progress import logged
from pipeline.rollout import config
from pipeline.rules import retention
from pipeline.rules.retention import RetentionDecision, RetentionLimits, StoredVersions, VersionDecision
from pipeline.runs.records import NAMES
from pipeline.runs.run_key import Kind, is_run_key
from pipeline.runs.run_records import RunRecords
from pipeline.spec import RetentionPolicy

log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")

# Deleting is mostly waiting for the storage.
_THREADS = 8
_AT_ONCE = 32 * _THREADS
# Nobody prepares one object or folder for longer than this.
_LEFTOVER_AGE = timedelta(days=1)


def retain(context: RunContext, policy: RetentionPolicy, *, dry_run: bool) -> Retained:
    """Delete what nothing needs any more; a second run finds nothing to do.

    Raises:
        BadInputError: the run key is not that of a retention; nothing was changed.
        StorageError: the bucket refused, or the journal has lost its end; whatever is retired by then is deleted by the
            next one.
    """
    if context.run_key.kind != Kind.RETAIN:
        raise BadInputError(f"{context.run_key!r} is not the key of a retention ({Kind.RETAIN}-...). Leave --run out")
    history = context.journal.read()
    if not history.seq:
        log.info("%s. Nothing is deleted", nothing_released(context))
        return Retained(policy, dry_run)
    terms = RetentionLimits(policy, context.clock.now(), context.fleet.abandoned_seconds)
    found = _look(context)
    if dry_run:
        context.rollout.require_this_rollout()
        lines = retention.plan(history, found, terms)
    else:
        history, lines = _retire(context, found, terms)
    runs, undated = _old_runs(context, history, lines, terms)
    checkpoints = old_checkpoints(context.bucket, context.model, before=history.seq_at(terms.now - _LEFTOVER_AGE))
    snapshots = [*old_manifests(context, terms, deleted_runs=frozenset(runs)), *old_parts(context, terms)]
    folders = [*_folders(context, lines, found), *(layout.run(context.model, key) for key in runs), *snapshots]
    back = () if dry_run else _delete(context, folders)
    if not dry_run:
        checkpoints = delete_checkpoints(context.bucket, checkpoints)
    return Retained(
        policy,
        dry_run,
        lines=lines,
        runs=tuple(runs),
        snapshots=tuple(snapshots),
        undated=tuple(undated),
        unknown=tuple(_unknown(context, history)),
        checkpoints=checkpoints.count,
        leftovers=tuple(context.bucket.tidy(older_than=terms.now - _LEFTOVER_AGE, dry_run=dry_run)),
        back=back,
    )


def _retire(
    context: RunContext, found: StoredVersions, terms: RetentionLimits
) -> tuple[History, tuple[VersionDecision, ...]]:
    """Write down what goes; the history since then, and the plan it was written from."""
    context.rollout.settle()  # it notices a journal that has lost its end
    lines: tuple[VersionDecision, ...] = ()
    planned = 0

    def rule(history: History) -> Change | None:
        nonlocal lines, planned
        lines, planned = retention.plan(history, found, terms), history.seq
        return retention.retirement_of(lines, history, terms)

    history = context.journal.decide(rule)
    # From here on no slow writer's older config can name what goes.
    context.rollout.settle()
    last = history.last
    if last is not None and last.seq == planned and last.event is Event.RETIRED and last.run_key == context.run_key:
        # This run is repeated. Why each goes only the history knows in which it was still there.
        lines = retention.plan(history.until(planned - 1), found, terms)
    return history, lines


def _look(context: RunContext) -> StoredVersions:
    model = context.model
    names = context.bucket.names
    return StoredVersions(
        served=layout.version_numbers(names(layout.versions(model))),
        published=layout.version_numbers(names(layout.all_published(model))),
        configured=frozenset[int]().union(
            *(config.named_versions(text or "") for text in context.rollout.configs().values())
        ),
        first_ring=layout.version_numbers(names(layout.first_ring_versions(model))),
    )


def _folders(context: RunContext, lines: Iterable[VersionDecision], found: StoredVersions) -> list[str]:
    going = [line.version for line in lines if line.decision is not RetentionDecision.KEEP]
    return [
        *(layout.version(context.model, version) for version in going if version in found.served),
        *(layout.first_ring_version(context.model, version) for version in going if version in found.first_ring),
        *(layout.published(context.model, version) for version in going if version in found.published),
    ]


def _old_runs(
    context: RunContext, history: History, lines: Sequence[VersionDecision], terms: RetentionLimits
) -> tuple[list[str], list[str]]:
    """The runs that may be deleted, and those of unknown age."""
    keys = [name for name in context.bucket.names(layout.runs(context.model)) if is_run_key(name)]
    known = {key: run for key, run in history.known_runs(keys).items() if run.last}
    silent = [key for key in keys if key not in known]
    moments = dict(zip(silent, _in_threads(lambda key: _recorded_at(context, key), silent), strict=True))
    dated = {key: moment for key, moment in moments.items() if moment is not None}
    undated = [key for key, moment in moments.items() if moment is None]
    old = [*retention.old_known_runs(history, known, lines, terms), *retention.old_runs(history, dated, lines, terms)]
    return sorted(old), undated


def _recorded_at(context: RunContext, key: str) -> datetime | None:
    """When a run has left a record, one of the last; None where there is none that can be read."""
    names = set(context.bucket.names(layout.run(context.model, key)))
    kind = next((kind for kind, name in reversed(NAMES.items()) if f"{name}.json" in names), None)
    if kind is None:
        return None
    try:
        record = RunRecords(context.bucket, context.model, key).find(kind)
    except (DamagedError, NewerVersionError) as error:
        log.warning("the age of run %s is not known, so it is kept: %s", key, error)
        return None
    return record.at if record else None


def _unknown(context: RunContext, history: History) -> list[str]:
    model = context.model
    names = context.bucket.names
    return [
        *(
            f"{folder}/{name}"
            for folder in (layout.versions(model), layout.first_ring_versions(model), layout.all_published(model))
            for name in names(folder)
            if (number := layout.version_number(name)) is None or number >= history.state.next_version
        ),
        *(layout.run(model, name) for name in names(layout.runs(model)) if not is_run_key(name)),
    ]


def _delete(context: RunContext, folders: Sequence[str]) -> tuple[str, ...]:
    """Every folder goes; those that are back."""
    gone = logged(_in_threads(context.bucket.remove, folders), "deleted", total=len(folders))
    return tuple(folder for folder, is_gone in zip(folders, gone, strict=True) if not is_gone)


def _in_threads(work: Callable[[A], B], items: Sequence[A]) -> Iterable[B]:
    """The results in the order of the items. No more than a few of many thousands wait for their turn."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(items), _AT_ONCE):
            yield from pool.map(work, items[first : first + _AT_ONCE])
