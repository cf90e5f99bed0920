"""Take this run's candidate back, also out of a promotion that stopped half-way."""

import logging

from pipeline.context import Context
from pipeline.errors import CouldNotTellError
from pipeline.records import PromoteRecord, WithdrawRecord
from pipeline.release import decisions
from pipeline.release.journal import Event, History

log = logging.getLogger(__name__)


def withdraw(context: Context) -> WithdrawRecord:
    """Label back first, then the version leaves; ends when no replica holds it.

    Declines where this run has nothing in the journal to take back, or where its promotion was confirmed: that is a
    roll-back, and a person's to ask for.

    Raises:
        CouldNotTellError: the withdrawal is decided and written; names the replicas that have not followed yet.
    """
    history = context.journal.read()
    version = history.version_of(context.run_key)
    if version is None or not history.of_version(version, Event.PUBLISHED):
        return WithdrawRecord(outcome="declined", reason="this run has published nothing")
    promoted = context.records.find(PromoteRecord)
    if promoted is not None and promoted.outcome == "done":
        told = f"v{version} was promoted and confirmed; use rollback to leave it"
        return WithdrawRecord(outcome="declined", reason=told, version=version)
    _take_back(context, version)
    history = context.rollout.settle()
    gone = context.rollout.wait_gone(version)
    context.mirror(history)
    if not gone.complete:
        raise CouldNotTellError(f"v{version} is withdrawn ({history.state}); not confirmed by {gone}")
    log.info("v%d is withdrawn and unloaded everywhere; %s", version, history.state)
    return WithdrawRecord(version=version, reason=_reason(context))


def _take_back(context: Context, version: int) -> None:
    reason = _reason(context)
    verdict = context.records.last_attempt()
    history = context.journal.decide(
        lambda history: decisions.undo_promotion(history, version=version, reason=f"promotion stopped: {reason}")
    )
    if history.state.leaving == version:
        _wait_for_label(context, history)
    context.journal.decide(lambda history: decisions.withdraw(history, version=version, reason=reason, verdict=verdict))


def _wait_for_label(context: Context, history: History) -> None:
    """Nobody loses the answer: the version stays loaded until the label has left it on every replica that speaks."""
    context.rollout.settle()
    assert history.state.serving is not None
    arrival = context.rollout.wait_followed(history.state.serving)
    if not arrival.complete:
        log.warning("the label has not come back everywhere: %s", arrival)


def _reason(context: Context) -> str:
    verdict = context.records.last_attempt()
    return str(verdict) if verdict else "the run did not finish"
