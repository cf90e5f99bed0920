"""Make another version serve: a person's decision, which waits for no retrain, no MLflow and no Airflow."""

import logging
from datetime import datetime
from functools import partial

from pipeline.context import RunContext
from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError, FirstRingError
from pipeline.inspection.rollback_plan import plan
from pipeline.inspection.unreachable_bucket import explained
from pipeline.journal.history import History
from pipeline.moments import NONE, hold_until
from pipeline.rollout.wait_result import overtaken
from pipeline.rules import rollback as rollback_rules
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import RollbackRequest
from pipeline.runs.records import RollbackRecord
from pipeline.runs.run_key import Kind
from pipeline.validation import require_reason

log = logging.getLogger(__name__)


def request_for(
    context: RunContext, *, to: str, reason: str, asked_at: datetime | None, hold: str = NONE
) -> RollbackRequest:
    """What a person asked for at a moment, or, where that is None, asks for now.

    Raises:
        BadInputError: `hold` is neither `until lifted` nor `none` nor a moment to come.
        StorageError: the bucket does not answer.
    """
    held = hold_until(hold, now=asked_at or context.clock.now())
    log.info("reading the journal in %s", context.bucket.uri())
    with explained(context):
        history = context.journal.read()
    return RollbackRequest(context.run_key, to, reason, _seen(context, history, asked_at), held)


def _seen(context: RunContext, history: History, asked_at: datetime | None) -> int:
    """The last entry when a roll-back was asked for, which a clock says only where it agrees with the journal's."""
    now = context.clock.now()
    if asked_at is None or not history.seq:
        return history.seq
    assert history.last is not None, "there are entries"
    ahead = (history.last.at - now).total_seconds()
    if ahead > 0:
        log.warning("the journal is dated %.0f s ahead of this clock. The roll-back counts as asked for now", ahead)
        return history.seq
    return history.seq_at(asked_at)


def rollback(context: RunContext, request: RollbackRequest) -> RollbackRecord:
    """Do it, and wait until every replica answers from the target.

    Repeated with the same run key it finishes what it began, and once it is carried out it is never done again.

    Raises:
        BadInputError: no reason, or no such target; nothing was changed.
        DeclinedError: what was asked for is overtaken by another decision; nothing was changed.
        FailedError: no target can be trusted, or no replica can load it; what served still serves.
        CouldNotTellError: traffic has moved where a replica answered; names those that did not follow.
        StorageError: the bucket does not answer; says what was written until then, and what each replica answers.
    """
    if context.run_key.kind != Kind.ROLLBACK:
        raise BadInputError(f"{context.run_key!r} is not the key of a roll-back ({Kind.ROLLBACK}-...). Leave --run out")
    require_reason(request.reason, of="a roll-back")
    with explained(context):
        carried_out = context.records.find(RollbackRecord)
        if carried_out is None:
            return _roll_back(context, request)
        context.observers.schedule()  # the process that did it may have ended before it called them
        return carried_out


def _left(context: RunContext, target: int) -> int | None:
    """The version that users leave: also that of the first ring, where the others answer from the target already."""
    try:
        context.rollout.settle()
    except FirstRingError as error:  # the others can leave all the same; it is raised again when they do
        log.error("%s", error)
    state, placement = context.journal.read().state, context.rollout.placement
    answering = placement.answering(state)
    return placement.answering(state, first_ring=True) if answering == target else answering


def _roll_back(context: RunContext, request: RollbackRequest) -> RollbackRecord:
    start = context.clock.monotonic()
    target, words = plan(context, request)
    log.info("%s", words)
    left = _left(context, target)
    context.strategy.go_back(request, target)
    history = context.journal.decide(partial(rollback_rules.hold_promotions, request=request, target=target))
    target, result = context.strategy.follow(history.state.serving or target)
    seconds = context.clock.monotonic() - start
    if result.overtaken:
        raise DeclinedError(overtaken(context.journal.read().state))
    if not result.complete:
        if all(state.silent for state in result.pending) and not (result.ready or result.undiscovered):
            # Nobody is left without an answer, and who comes back must not have to load what may have killed it.
            context.journal.decide(
                lambda history: rollback_rules.remove_leaving(history, target=target, reason=request.reason)
            )
            context.rollout.settle()
        raise CouldNotTellError(
            f"v{target} was set to serve {seconds:.1f} s ago. Not followed: {result}. Check these replicas, then run "
            f"`understudy rollback --model {context.model} --to {target} --hold none --reason why` (in Airflow: clear "
            f"the task) to confirm. To leave v{target} too, use another number"
        )
    context.journal.decide(lambda history: rollback_rules.remove_leaving(history, target=target, reason=request.reason))
    context.journal.decide(lambda history: run_rules.confirm(history, version=target))
    context.rollout.settle()
    return context.records.finish(
        RollbackRecord(version=target, left=left, seconds=round(seconds, 2), replicas=result.ready)
    )
