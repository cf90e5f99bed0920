"""Take this run's candidate back, also out of a promotion that stopped half-way."""

import logging

from pipeline.context import Context
from pipeline.errors import CouldNotTellError, DeclinedError
from pipeline.records import CanaryRecord, WithdrawRecord
from pipeline.release import decisions
from pipeline.release.journal import History

log = logging.getLogger(__name__)


def withdraw(context: Context) -> WithdrawRecord:
    """Label back first, then the version leaves; ends when no replica holds it.

    Raises:
        DeclinedError: there is nothing of this run to take back: nothing reached a replica, its promotion was
            confirmed, or a person has decided about the version since. Not recorded, because it may change.
        CouldNotTellError: the withdrawal is decided and written; names the replicas that have not followed yet.
    """
    version = context.journal.read().version_of(context.run_key)
    if version is None:
        raise DeclinedError("this run has published nothing")
    reason = _take_back(context, version)
    history = context.rollout.settle()
    gone = context.rollout.wait_gone(version)
    context.mirror(history)
    if gone.missing:
        raise CouldNotTellError(f"v{version} is withdrawn ({history.state}); not confirmed by {gone}")
    log.info("v%d is withdrawn and unloaded everywhere; %s", version, history.state)
    return WithdrawRecord(version=version, reason=reason)


def _take_back(context: Context, version: int) -> str:
    """Write the withdrawal; its reason."""
    proven = context.records.find(CanaryRecord)
    # What a canary could not tell before it passed is no reason for what came after.
    verdict = context.records.last_attempt(after=proven.at if proven else None)
    reason = str(verdict) if verdict else "the run did not finish"
    key = context.run_key
    history = context.journal.decide(
        lambda history: decisions.undo_promotion(
            history, version=version, run_key=key, reason=f"promotion stopped: {reason}"
        )
    )
    if history.state.leaving == version:
        _wait_for_label(context, history)
    context.journal.decide(
        lambda history: decisions.withdraw(history, version=version, run_key=key, reason=reason, verdict=verdict)
    )
    return reason


def _wait_for_label(context: Context, history: History) -> None:
    """Nobody loses the answer: the version stays loaded until the label has left it on every replica that speaks."""
    context.rollout.settle()
    assert history.state.serving is not None, "a version leaves only for another that serves"
    arrival = context.rollout.wait_followed(history.state.serving, best_effort=True)
    if arrival.missing:
        log.warning("the label has not come back everywhere: %s", arrival)
