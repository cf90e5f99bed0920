"""Take a run's candidate back, also out of a promotion that stopped half-way."""

import logging
from functools import partial

from pipeline.context import RunContext
from pipeline.errors import CouldNotTellError, DeclinedError, StorageError
from pipeline.journal.history import History
from pipeline.moments import Until, hold_until
from pipeline.rules import run as run_rules
from pipeline.runs.records import CanaryRecord, SpecRecord, WithdrawRecord
from pipeline.runs.run_records import RunRecords

log = logging.getLogger(__name__)


def withdraw(context: RunContext) -> WithdrawRecord:
    """Traffic goes back first, then the version leaves; ends when no replica holds it.

    Raises:
        DeclinedError: there is nothing of this run to take back: nothing reached a replica, its promotion was
            confirmed, or a person has decided about the version since. Not recorded, because it may change.
        CouldNotTellError: the withdrawal is decided and written; names the replicas that have not followed yet.
    """
    return withdraw_run(context, context.run_key)


def withdraw_run(context: RunContext, run_key: str) -> WithdrawRecord:
    """The same for a run that cannot do it itself any more, as far as that run might; raises what `withdraw` does."""
    version = context.journal.read().version_of(run_key)
    if version is None:
        raise DeclinedError("this run has not published a version")
    reason = take_back(context, version, run_key)
    history = context.rollout.settle()
    gone = context.wait.gone(version)
    if history.state.serving is not None and context.strategy.renumber(history.state.serving, gone) is not None:
        _confirm_traffic(context)
        history, gone = context.rollout.settle(), context.wait.gone(version)
    if gone.pending:
        raise CouldNotTellError(f"v{version} is withdrawn ({history.state}). Not confirmed by {gone}")
    log.info("v%d is withdrawn and unloaded on every replica. %s", version, history.state)
    return WithdrawRecord(version=version, reason=reason)


def take_back(context: RunContext, version: int, run_key: str) -> str:
    """Write the withdrawal; its reason."""
    records = RunRecords(context.bucket, context.model, run_key)
    proven = records.find(CanaryRecord)
    # What a canary could not tell before it passed is no reason for what came after.
    verdict = records.last_attempt(of="promote" if proven else None)
    reason = str(verdict) if verdict else "the run did not finish"
    history = context.journal.decide(
        partial(
            run_rules.undo_promotion,
            version=version,
            run_key=run_key,
            reason=f"promotion stopped: {reason}",
            hold=_hold_afterwards(context, records),
        )
    )
    if history.state.leaving == version:
        _wait_for_traffic(context, history)
    context.journal.decide(
        lambda history: run_rules.withdraw(history, version=version, run_key=run_key, reason=reason, verdict=verdict)
    )
    _confirm_traffic(context)
    return reason


def _hold_afterwards(context: RunContext, records: RunRecords) -> Until | None:
    """What the model file says of promotions after an automatic roll-back; users wait for no record of it."""
    try:
        spec = records.find(SpecRecord)
    except StorageError as error:
        log.warning("promotions are not held after this, because the setting cannot be read: %s", error)
        return None
    return hold_until(spec.spec.model.automatic_rollback.hold, now=context.clock.now()) if spec else None


def _wait_for_traffic(context: RunContext, history: History) -> None:
    """Nobody loses the answer: the version stays until traffic has left it on every replica that speaks."""
    context.rollout.settle()
    assert history.state.serving is not None, "a version leaves only for another that serves"
    result = context.wait.followed(history.state.serving, best_effort=True)
    if result.pending:
        log.warning("not every replica answers from the earlier version again: %s", result)


def _confirm_traffic(context: RunContext) -> None:
    """Say so where traffic has come back everywhere."""
    history = context.rollout.settle()
    serving = history.state.serving
    if serving is None or history.state.leaving is not None or history.is_confirmed(serving):
        return
    if context.wait.followed(serving, best_effort=True).complete:
        context.journal.decide(
            lambda history: run_rules.confirm(history, version=serving) if history.state.serving == serving else None
        )
