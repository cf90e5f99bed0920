"""Give traffic to the proven candidate, and wait until every replica answers from it."""

from pipeline.context import Context
from pipeline.errors import CouldNotTellError, DeclinedError, FailedError
from pipeline.records import CanaryRecord, GateRecord, PromoteRecord
from pipeline.release import decisions
from pipeline.release.waiting import Arrival
from pipeline.verbs.standing_down import stand_down
from pipeline.verdicts.verdict import Verdict


def promote(context: Context) -> PromoteRecord:
    """Move the label to the candidate if what serves is still what the gate compared it with.

    Raises:
        FailedError: a replica answers, but not from the new version; `withdraw` takes the label back.
        CouldNotTellError: a replica gave no answer before the deadline; likewise.
    """
    proven = context.records.need(CanaryRecord)
    compared_with = context.records.need(GateRecord).serving_version
    assert proven.verdict is not None
    version = proven.version
    # A replica that restarted since the canary is found here, before any traffic has moved.
    if context.journal.read().state.candidate == version:
        _require(context.rollout.wait_loaded(version, serving=compared_with), f"v{version} is not loaded everywhere")
    try:
        _decide(context, version, compared_with=compared_with, verdict=proven.verdict)
    except DeclinedError as declined:
        stand_down(context, version, reason=str(declined))
        return PromoteRecord(outcome="declined", reason=str(declined), version=version)
    history = context.rollout.settle()
    arrival = context.rollout.wait_followed(version)
    _require(arrival, f"v{version} does not answer everywhere")
    context.mirror(history)
    return PromoteRecord(version=version, replicas=arrival.there)


def _decide(context: Context, version: int, *, compared_with: int | None, verdict: Verdict) -> None:
    context.journal.decide(
        lambda history: decisions.promote(history, version=version, compared_with=compared_with, verdict=verdict)
    )


def _require(arrival: Arrival, problem: str) -> None:
    if not arrival.complete:
        raise (CouldNotTellError if arrival.undecided else FailedError)(f"{problem}: {arrival}")
