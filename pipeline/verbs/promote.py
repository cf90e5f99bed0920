"""Give traffic to the proven candidate, and wait until every replica answers from it."""

from functools import partial

from pipeline.commands import with_model
from pipeline.context import RunContext
from pipeline.errors import CouldNotTellError, DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.rollout.wait_result import WaitResult, overtaken
from pipeline.rules import holds
from pipeline.rules import run as run_rules
from pipeline.runs.records import CanaryRecord, GateRecord, PromoteRecord
from pipeline.verdicts.verdict import Decision, Verdict


def promote(context: RunContext) -> PromoteRecord:
    """Move the label to the candidate if what serves is still what the gate compared it with.

    Raises:
        FailedError: a replica answers, but not from the new version; `withdraw` takes the label back.
        CouldNotTellError: a replica gave no answer before the deadline; likewise.
    """
    proven = context.records.require(CanaryRecord)
    compared_with = context.records.require(GateRecord).serving_version
    assert proven.verdict is not None, "a canary that is done has passed"
    version = proven.version
    if context.journal.read().has(version, Event.CONFIRMED):
        return PromoteRecord(version=version)
    try:
        _move(context, version, compared_with=compared_with, verdict=proven.verdict)
        result = context.wait.followed(version)
        _require(context, result, f"not every replica answers from v{version}")
        context.journal.decide(lambda history: run_rules.confirm(history, version=version))
    except DeclinedError as declined:
        reason = with_model(str(declined), context.model)
        context.decline_candidate(version, reason=reason)
        return PromoteRecord(outcome="declined", reason=reason, version=version)
    context.rollout.settle()
    return PromoteRecord(version=version, replicas=result.ready)


def _move(context: RunContext, version: int, *, compared_with: int | None, verdict: Verdict) -> None:
    # A replica that restarted since the canary is found here, before any traffic has moved.
    if context.journal.read().state.candidate == version:
        _require(context, context.wait.loaded(version), f"not every replica has loaded v{version}")
    rule = partial(run_rules.promote, version=version, compared_with=compared_with, verdict=verdict)
    context.journal.decide(holds.declined_if_held(rule, now=context.clock.now(), model=context.model))
    context.rollout.settle()


def _require(context: RunContext, result: WaitResult, problem: str) -> None:
    if result.complete:
        return
    if result.overtaken:
        raise DeclinedError(overtaken(context.journal.read().state))
    verdict = result.verdict()
    context.records.note_attempt("promote", verdict)
    raise (CouldNotTellError if verdict.decision is Decision.UNKNOWN else FailedError)(f"{problem}: {result}")
