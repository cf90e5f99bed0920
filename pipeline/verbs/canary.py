"""Load the candidate dark on every replica and question each of them."""

import base64
import logging
import time

from pipeline.context import Context
from pipeline.errors import CouldNotTellError, DeclinedError, FailedError
from pipeline.records import CanaryRecord, GateRecord, ProbeSet, PublishRecord, SpecRecord
from pipeline.release import decisions
from pipeline.release.waiting import Arrival
from pipeline.spec import CanaryPolicy
from pipeline.verbs.standing_down import stand_down
from pipeline.verdicts.canary import judge
from pipeline.verdicts.verdict import Decision, Verdict
from serving.canary import Golden, Labelled, Questions, ReplicaReport, question
from serving.replica import Replica

log = logging.getLogger(__name__)


def canary(context: Context) -> CanaryRecord:
    """Expose, wait until every replica has loaded it, question every replica, judge.

    A verdict other than PASS is kept as an attempt, so that clearing the task asks again as long as the candidate has
    not been withdrawn.

    Raises:
        FailedError: a replica cannot load the candidate or answered wrongly.
        CouldNotTellError: a replica gave no answer before the deadline.
    """
    spec = context.records.need(SpecRecord).spec.model
    published = context.records.need(PublishRecord).version
    compared_with = context.records.need(GateRecord).serving_version
    try:
        context.journal.decide(
            lambda history: decisions.expose(history, version=published, compared_with=compared_with)
        )
    except DeclinedError as declined:
        stand_down(context, published, reason=str(declined))
        return CanaryRecord(outcome="declined", reason=str(declined), version=published, verdict=None)
    history = context.rollout.settle()
    start = time.monotonic()
    arrival = context.rollout.wait_loaded(published, serving=compared_with)
    load_seconds = time.monotonic() - start
    if arrival.complete:
        context.mirror(history)
        questions = _questions(
            context.records.need(ProbeSet), spec.name, published, serving=compared_with, policy=spec.canary
        )
        reports = [_question(context, address, questions) for address in arrival.there]
        expected = context.rollout.fleet.expected
        verdict = judge(reports, expected=expected, min_accuracy=spec.gate.min_accuracy, policy=spec.canary)
    else:
        verdict = _not_loaded(arrival)
    if verdict.decision is Decision.PASS:
        return CanaryRecord(version=published, verdict=verdict, load_seconds=round(load_seconds, 2))
    context.records.note_attempt("canary", verdict)
    raise (CouldNotTellError if verdict.decision is Decision.UNKNOWN else FailedError)(f"v{published}: {verdict}")


def _not_loaded(arrival: Arrival) -> Verdict:
    decision = Decision.UNKNOWN if arrival.undecided else Decision.FAIL
    return Verdict(decision=decision, reasons=tuple(f"{each.address}: {each.told}" for each in arrival.missing))


def _question(context: Context, address: str, questions: Questions) -> ReplicaReport:
    with Replica(address, timeout=context.settings.rpc_seconds) as replica:
        report = question(replica, questions)
    log.info(
        "%s: v%d %s; %d/%d golden answers exact, %d/%d fresh images right, median %.1f ms",
        address,
        questions.version,
        report.problem or "answers",
        report.golden_asked - report.golden_wrong,
        report.golden_asked,
        report.fresh_right,
        report.fresh_asked,
        report.latency_ms,
    )
    return report


def _questions(probes: ProbeSet, model: str, version: int, *, serving: int | None, policy: CanaryPolicy) -> Questions:
    return Questions(
        model=model,
        version=version,
        serving=serving,
        golden=[Golden(base64.b64decode(g.image), g.label, g.probabilities) for g in probes.golden],
        fresh=[Labelled(base64.b64decode(f.image), f.label) for f in probes.fresh],
        tolerance=policy.tolerance,
        latency_rounds=policy.latency_rounds,
    )
