"""The newest retraining that has led to a decision: the gate has refused its model, or its version was promoted.

A version that was withdrawn counts too, see `decision_about`. A run that failed, or that stopped before it was decided,
is skipped: its images may be trained on again.
"""

import logging

from pipeline import layout
from pipeline.context import RunContext
from pipeline.errors import DamagedError, NewerVersionError
from pipeline.first_few import first_few
from pipeline.journal.history import History
from pipeline.rules.unchanged import Conditions, DecidedRun, changes_between, decision_about
from pipeline.runs.records import GateRecord, PromoteRecord, PublishRecord, SnapshotRecord, SpecRecord
from pipeline.runs.run_key import Kind, is_run_key, kind_of
from pipeline.runs.run_records import RunRecords

log = logging.getLogger(__name__)

# Changes: a model file may have been rewritten.
_SHOWN = 5


def newest_decided_run(context: RunContext, history: History) -> DecidedRun | None:
    """The newest decided run of the model apart from this one; None if there is none whose records can be read.

    Raises:
        StorageError: the bucket does not answer.
    """
    names = context.bucket.names(layout.runs(context.model))
    keys = [name for name in names if is_run_key(name) and kind_of(name) == Kind.RETRAIN and name != context.run_key]
    for key in sorted(keys, reverse=True):
        try:
            found = _decided(key, RunRecords(context.bucket, context.model, key), history)
        except (DamagedError, NewerVersionError) as error:
            log.warning("whether run %s was decided cannot be read, so it is not compared with: %s", key, error)
            continue
        if found is not None:
            return found
    return None


def run_to_repeat(context: RunContext, history: History, now: Conditions) -> DecidedRun | None:
    """The run that this one would repeat if its images are the same; None if it trains in any case.

    It is cheap, so that it can be called before the images are read. What has changed is logged: this is why the same
    images are trained on again.

    Args:
        context: of this run.
        history: the journal.
        now: what this run would train with.

    Raises:
        StorageError: the bucket does not answer.
    """
    settings = context.settings
    if not (settings.scheduled or settings.started_by_event):
        return None
    newest = newest_decided_run(context, history)
    if newest is None or settings.started_by_event:
        return newest
    changed = changes_between(newest.conditions, now)
    if changed:
        log.info(
            "this run trains, also on the same images: since run %s changed %s",
            newest.key,
            first_few(changed, _SHOWN, separator="; "),
        )
    return None if changed else newest


def _decided(key: str, records: RunRecords, history: History) -> DecidedRun | None:
    decision = _decision(records, history)
    if decision is None:
        return None
    data, frozen = records.find(SnapshotRecord), records.find(SpecRecord)
    if data is None or frozen is None:
        return None
    spec = frozen.spec
    conditions = Conditions(spec.code_version, spec.model, spec.installed, spec.network_source)
    return DecidedRun(key, data.digest, decision, conditions)


def _decision(records: RunRecords, history: History) -> str | None:
    gate = records.find(GateRecord)
    if gate is None:
        return None
    if gate.outcome == "declined":
        return "the gate declined the candidate"
    promoted = records.find(PromoteRecord)
    if promoted and promoted.outcome == "done":
        return decision_about(history, promoted.version, promoted=True)
    published = records.find(PublishRecord)
    return decision_about(history, published.version, promoted=False) if published else None
