"""Load the candidate dark on every replica and question each of them."""

import base64
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pipeline.context import Context
from pipeline.errors import CouldNotTellError, DamagedError, DeclinedError, FailedError
from pipeline.manifest import golden_digest
from pipeline.records import CanaryRecord, GateRecord, ProbeSet, PublishRecord, SpecRecord
from pipeline.release import decisions
from pipeline.release.waiting import Arrival
from pipeline.spec import CanaryPolicy
from pipeline.verbs.standing_down import stand_down
from pipeline.verdicts.canary import judge
from pipeline.verdicts.verdict import Decision, Verdict
from serving.canary import Golden, Labelled, Questions, ReplicaReport, question

log = logging.getLogger(__name__)


def canary(context: Context) -> CanaryRecord:
    """Read the version back, expose it, wait until every replica has loaded it, question every replica, judge.

    A verdict other than PASS is kept as an attempt, so that clearing the task asks again as long as the candidate has
    not been withdrawn.

    Raises:
        DamagedError: the files or the questions are not what was approved; nothing was exposed by this call.
        FailedError: a replica cannot load the candidate or answered wrongly.
        CouldNotTellError: a replica gave no answer before the deadline.
    """
    version = context.records.need(PublishRecord).version
    compared_with = context.records.need(GateRecord).serving_version
    _require_approved(context, version)
    try:
        context.journal.decide(lambda history: decisions.expose(history, version=version, compared_with=compared_with))
        history = context.rollout.settle()
        start = context.clock.monotonic()
        arrival = context.rollout.wait_loaded(version)
        load_seconds = context.clock.monotonic() - start
        if arrival.complete:
            context.mirror(history)
        verdict = _judge(context, arrival, version=version, serving=compared_with)
        # A roll-back may have taken the seat meanwhile; then the answers say nothing about the candidate.
        decisions.require_seat(context.journal.read().state, version)
    except DeclinedError as declined:
        stand_down(context, version, reason=str(declined))
        return CanaryRecord(outcome="declined", reason=str(declined), version=version, verdict=None)
    if verdict.decision is Decision.PASS:
        return CanaryRecord(version=version, verdict=verdict, load_seconds=round(load_seconds, 2))
    context.records.note_attempt("canary", verdict)
    raise (CouldNotTellError if verdict.decision is Decision.UNKNOWN else FailedError)(f"v{version}: {verdict}")


def _require_approved(context: Context, version: int) -> None:
    """What is about to be loaded, and what it will be asked, is what was approved under this number."""
    manifest = context.manifests.verify(version, context.journal.read())
    if golden_digest(context.records.need(ProbeSet)) != manifest.golden_digest:
        raise DamagedError(f"the golden answers of run {context.run_key} are not those v{version} was approved with")


def _judge(context: Context, arrival: Arrival, *, version: int, serving: int | None) -> Verdict:
    """Question every replica, also those that come while others are asked; all must still be there at the end."""
    spec = context.records.need(SpecRecord).spec.model
    questions = _questions(context.records.need(ProbeSet), spec.name, version, serving=serving, policy=spec.canary)
    verdict_on = partial(
        judge,
        expected=context.rollout.fleet.expected,
        min_accuracy=spec.gate.min_accuracy,
        policy=spec.canary,
    )
    reports: dict[str, ReplicaReport] = {}
    while arrival.complete:
        late = [address for address in arrival.there if address not in reports]
        if not late:
            return verdict_on([reports[address] for address in arrival.there])
        beside = context.rollout.wait_loaded(serving) if serving is not None else None
        if beside and not beside.complete:
            told = f"v{serving}, to compare with, is not loaded everywhere: {beside}"
            return Verdict(decision=Decision.UNKNOWN, reasons=(told,))
        with ThreadPoolExecutor(context.settings.canary_threads) as pool:
            answers = pool.map(partial(_question, context, questions=questions), late)
            reports |= dict(zip(late, answers, strict=True))
        arrival = context.rollout.wait_loaded(version)
    answered = verdict_on(list(reports.values()))
    # A wrong answer stays one, wherever its replica has gone since.
    return answered if reports and answered.decision is Decision.FAIL else arrival.verdict()


def _question(context: Context, address: str, *, questions: Questions) -> ReplicaReport:
    with context.rollout.fleet.connect(address, timeout=context.settings.rpc_seconds) as replica:
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
