"""Question every replica about a version, and judge: beside what serves, or in its place where nothing can be dark."""

import base64
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pipeline.context import Context
from pipeline.rollout.waiting import Arrival
from pipeline.rollout.witness import Witness
from pipeline.runs.records import BaselineRecord, ProbeSet, SpecRecord
from pipeline.verdicts.canary import judge
from pipeline.verdicts.labels import ApprovedLabels
from pipeline.verdicts.verdict import Decision, Verdict
from serving.canary import Golden, Labelled, Questions, ReplicaReport, question

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """`load_seconds` is how long it took until the slowest replica had loaded the version, polling included.

    `deadly`: servers have ended since the version was exposed, and every moment it stays may end more.
    """

    verdict: Verdict
    load_seconds: float
    deadly: bool = False


def judge_dark(context: Context, approved: ApprovedLabels, *, witness: Witness) -> Judged:
    """Question every replica once all have loaded the version, beside the one that serves.

    Also those that come while others are asked; all must still be there at the end.
    """
    version, serving = approved.version, approved.serving
    start = context.clock.monotonic()
    arrival = context.rollout.wait_loaded(version, witness=witness)
    load_seconds = context.clock.monotonic() - start
    if arrival.complete:
        context.mirror(context.journal.read())
    reports: dict[str, ReplicaReport] = {}
    while arrival.complete:
        late = [address for address in arrival.there if address not in reports]
        if not late:
            break
        other = context.rollout.wait_loaded(serving, witness=witness) if serving is not None else None
        if witness.reasons(context.rollout.fleet.addresses()):
            break
        if other and not other.complete:
            told = f"v{serving}, to compare with, is not loaded everywhere: {other}"
            return Judged(Verdict(decision=Decision.UNKNOWN, reasons=(told,)), load_seconds)
        reports |= _by_address(question_all(context, late, approved, version=version, beside=serving, witness=witness))
        arrival = context.rollout.wait_loaded(version, witness=witness)
    return _judged(context, arrival, reports, witness, load_seconds)


def judge_in_traffic(
    context: Context, approved: ApprovedLabels, *, baseline: BaselineRecord | None, witness: Witness
) -> Judged:
    """Question each replica as soon as it has loaded the version; users see it, so the first bad answer ends it."""
    version = approved.version
    start = context.clock.monotonic()
    asking = load_seconds = 0.0
    reports: dict[str, ReplicaReport] = {}
    while True:
        arrival = context.rollout.wait_loaded(version, beyond=reports.keys(), witness=witness)
        late = [address for address in arrival.there if address not in reports]
        if not late or any(standing.hopeless for standing in arrival.missing):
            break
        if witness.reasons(context.rollout.fleet.addresses()):
            break
        began = context.clock.monotonic()
        load_seconds = began - start - asking
        asked = question_all(context, late, approved, version=version, witness=witness)
        asking += context.clock.monotonic() - began
        reports |= _by_address(_compared(report, baseline) for report in asked)
        if _verdict_on(context, reports.values()).decision is Decision.FAIL:
            break
    judged = _judged(context, arrival, reports, witness, load_seconds)
    if judged.verdict.decision is not Decision.FAIL:
        context.mirror(context.journal.read())
    return judged


def _judged(
    context: Context, arrival: Arrival, reports: dict[str, ReplicaReport], witness: Witness, load_seconds: float
) -> Judged:
    ends = witness.reasons(context.rollout.fleet.addresses())
    if ends:
        return Judged(Verdict(decision=Decision.FAIL, reasons=ends), load_seconds, deadly=True)
    return Judged(_conclude(context, arrival, reports), load_seconds)


def question_all(
    context: Context,
    addresses: Sequence[str],
    approved: ApprovedLabels,
    *,
    version: int,
    beside: int | None = None,
    witness: Witness | None = None,
) -> list[ReplicaReport]:
    """Put this run's questions to replicas, several at once.

    Where something serves, only those labelled images are asked whose label it can know; all of them if there are none.

    Args:
        context: the run.
        addresses: whom to ask.
        approved: the labels that answers must agree with.
        version: about which version.
        beside: the serving version, where it is in memory beside that one, to compare with.
        witness: is told of connections that break; once it has a reason against the version nobody else is asked.
    """
    spec = context.records.need(SpecRecord).spec.model
    probes = context.records.need(ProbeSet)
    known = [each for each in probes.fresh if each.label in approved.serving_labels]
    questions = Questions(
        model=spec.name,
        version=version,
        serving=beside,
        golden=[Golden(base64.b64decode(g.image), g.label, g.probabilities) for g in probes.golden],
        fresh=[Labelled(base64.b64decode(f.image), f.label) for f in known or probes.fresh],
        labels=approved.of(version),
        tolerance=spec.canary.tolerance,
        latency_rounds=spec.canary.latency_rounds,
        serving_labels=approved.of(beside) if beside is not None else (),
        serving_knows_fresh=bool(known),
    )
    with ThreadPoolExecutor(context.settings.canary_threads) as pool:
        return list(pool.map(partial(_question, context, questions=questions, witness=witness), addresses))


def _question(context: Context, address: str, *, questions: Questions, witness: Witness | None) -> ReplicaReport:
    if witness and witness.reasons(context.rollout.fleet.addresses()):
        return ReplicaReport(address, questions.version, problem="was not asked any more", unreachable=True)
    with context.rollout.fleet.connect(address, timeout=context.settings.rpc_seconds) as replica:
        report = question(replica, questions)
    if witness and report.lost:
        witness.lost(address)
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


def _compared(report: ReplicaReport, baseline: BaselineRecord | None) -> ReplicaReport:
    if baseline is None:
        return report
    return replace(report, fresh_right_serving=baseline.fresh_right, latency_ms_serving=baseline.latency_ms)


def _conclude(context: Context, arrival: Arrival, reports: dict[str, ReplicaReport]) -> Verdict:
    if arrival.complete and reports.keys() >= set(arrival.there):
        return _verdict_on(context, [reports[address] for address in arrival.there])
    answered = _verdict_on(context, reports.values())
    # A wrong answer stays one, wherever its replica has gone since.
    return answered if reports and answered.decision is Decision.FAIL else arrival.verdict()


def _verdict_on(context: Context, reports: Iterable[ReplicaReport]) -> Verdict:
    spec = context.records.need(SpecRecord).spec.model
    return judge(
        list(reports),
        expected=context.rollout.fleet.expected,
        min_accuracy=spec.gate.min_accuracy,
        policy=spec.canary,
    )


def _by_address(reports: Iterable[ReplicaReport]) -> dict[str, ReplicaReport]:
    return {report.address: report for report in reports}
