"""A verb of a run is carried out once: its record is its final answer, for every copy that works."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.context import RunContext
from pipeline.errors import BadInputError, DeclinedError, NewerVersionError, StorageError
from pipeline.inspection.known_models import require_known
from pipeline.runs import records
from pipeline.runs.code_version import code_version, warn_of_change
from pipeline.runs.run_key import Kind
from pipeline.verbs.canary import canary
from pipeline.verbs.evaluate import evaluate
from pipeline.verbs.gate import gate
from pipeline.verbs.promote import promote
from pipeline.verbs.publish import publish
from pipeline.verbs.snapshot import snapshot
from pipeline.verbs.train import train
from pipeline.verbs.withdraw import withdraw

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunVerb:
    """What a verb does, and the record that holds its answer. An error leaves no record, and may be tried again."""

    name: str
    work: Callable[[RunContext], records.Record]
    record: type[records.Record]


RUN_VERBS = (
    RunVerb("snapshot", snapshot, records.SnapshotRecord),
    RunVerb("train", train, records.TrainRecord),
    RunVerb("evaluate", evaluate, records.EvaluateRecord),
    RunVerb("gate", gate, records.GateRecord),
    RunVerb("publish", publish, records.PublishRecord),
    RunVerb("canary", canary, records.CanaryRecord),
    RunVerb("promote", promote, records.PromoteRecord),
    RunVerb("withdraw", withdraw, records.WithdrawRecord),
)


def run_once(verb: RunVerb, context: RunContext) -> records.Record:
    """Make effects agree with the journal; then the recorded answer of this run, or a new one.

    Raises:
        BadInputError: the run key is that of a roll-back, or there is no such model.
        DeclinedError: the verb declined, now or when it was run before.
    """
    if context.run_key.kind == Kind.ROLLBACK:
        raise BadInputError(f"{context.run_key} is the key of a roll-back, not of a retraining")
    context.rollout.settle()
    record = context.records.find(verb.record)
    if record is None:
        record = context.records.finish(_answer(verb, context))
    elif context.journal.known.version_of(context.run_key) is not None:
        context.observers.schedule()  # the process that answered may have ended before it called them
    if record.outcome == "declined":
        raise DeclinedError(record.reason)
    return record


def _answer(verb: RunVerb, context: RunContext) -> records.Record:
    """Do the work, with the version of the code in its answer; a version that is not that of `snapshot` is reported."""
    version = code_version(context.settings.code_version)
    try:
        frozen = context.records.find(records.SpecRecord)
    except StorageError as error:
        # A verb that needs the record fails by itself. A candidate can be withdrawn without it. Nothing else is done
        # by the settings of a newer version.
        if isinstance(error, NewerVersionError) and verb.work is not withdraw:
            raise
        log.warning("cannot read which version of the code began this run: %s", error)
        return verb.work(context).model_copy(update={"code_version": version})
    if frozen is not None:
        warn_of_change(verb.name, recorded=frozen.spec.code_version, now=version)
    elif not context.journal.known.seq:
        require_known(context)
    return verb.work(context).model_copy(update={"code_version": version})
