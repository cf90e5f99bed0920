"""Load the candidate on every replica, dark where the roll-out can, and question each of them."""

import statistics
from functools import partial

from pipeline.context import Context
from pipeline.errors import BadInputError, CouldNotTellError, DamagedError, DeclinedError, FailedError, MissingError
from pipeline.inspection.served_labels import served_labels
from pipeline.journal.manifests import golden_digest
from pipeline.rollout.questioning import Judged, judge_dark, judge_in_traffic, question_all
from pipeline.rules import holds
from pipeline.rules import run as run_rules
from pipeline.runs.records import BaselineRecord, CanaryRecord, GateRecord, ProbeSet, PublishRecord
from pipeline.verbs.standing_down import stand_down
from pipeline.verbs.withdraw import take_back
from pipeline.verdicts.canary import label_failures
from pipeline.verdicts.labels import ApprovedLabels
from pipeline.verdicts.verdict import Decision, conclude


def canary(context: Context) -> CanaryRecord:
    """Read the version back, expose it, wait until every replica has loaded it, question every replica, judge.

    A candidate that ends the servers which load it is taken back at once: whoever runs `withdraw` next may take seconds
    to begin, and every server that starts meanwhile loads it again.

    In the latest roll-out to expose is to give traffic. So what serves is questioned before, as the baseline; each
    replica is questioned as soon as it has loaded the candidate; and the first bad answer ends it, with the candidate
    taken back at once.

    A verdict other than PASS is kept as an attempt, so that clearing the task asks again as long as the candidate has
    not been withdrawn.

    Raises:
        BadInputError: a replica serves another model; nothing was exposed.
        DamagedError: the files or the questions are not what was approved; nothing was exposed by this call.
        FailedError: a replica cannot load the candidate, answered wrongly, or has ended since it was exposed.
        CouldNotTellError: a replica gave no answer before the deadline, or the labels of the version that serves cannot
            be read, and nothing was exposed by this call.
    """
    version = context.records.need(PublishRecord).version
    _require_approved(context, version)
    approved = _labels(context, version)
    context.rollout.require_own_fleet()
    try:
        judged = _expose(context, approved)
        # A roll-back may have taken the seat meanwhile; then the answers say nothing about the candidate.
        run_rules.require_seat(context.journal.read().state, version)
    except DeclinedError as declined:
        stand_down(context, version, reason=str(declined))
        return CanaryRecord(outcome="declined", reason=str(declined), version=version, verdict=None)
    except BadInputError:
        # A replica that was silent before turned out to be of another fleet.
        if not context.rollout.placement.dark and context.journal.read().state.candidate == version:
            take_back(context, version, context.run_key)
        raise
    verdict = judged.verdict
    if verdict.decision is Decision.PASS:
        return CanaryRecord(version=version, verdict=verdict, load_seconds=round(judged.load_seconds, 2))
    context.records.note_attempt("canary", verdict)
    if judged.deadly or not context.rollout.placement.dark:
        # Users are affected, and whoever runs `withdraw` next may take seconds to begin.
        take_back(context, version, context.run_key)
    raise (CouldNotTellError if verdict.decision is Decision.UNKNOWN else FailedError)(f"v{version}: {verdict}")


def _require_approved(context: Context, version: int) -> None:
    """What is about to be loaded, and what it will be asked, is what was approved under this number."""
    manifest = context.manifests.verify(version, context.journal.read())
    if golden_digest(context.records.need(ProbeSet)) != manifest.golden_digest:
        raise DamagedError(f"the golden answers of run {context.run_key} are not those v{version} was approved with")


def _labels(context: Context, version: int) -> ApprovedLabels:
    gate = context.records.need(GateRecord)
    labels = context.manifests.labels(version, context.journal.read())
    # What the gate has read is believed: the manifest of what serves may be lost while users meet a bad candidate.
    serving_labels = gate.serving_labels
    if serving_labels is None:
        serving_labels = served_labels(context, gate.serving_version)
    return ApprovedLabels(version=version, labels=labels, serving=gate.serving_version, serving_labels=serving_labels)


def _expose(context: Context, approved: ApprovedLabels) -> Judged:
    version, compared_with = approved.version, approved.serving
    exposing = partial(run_rules.expose, version=version, compared_with=compared_with)
    rule = holds.unless_held(exposing, now=context.clock.now(), model=context.model)
    if context.rollout.placement.dark:
        witness = context.rollout.witness()
        context.journal.decide(rule)
        context.rollout.settle()
        return judge_dark(context, approved, witness=witness)
    history = context.journal.read()
    rule(history)  # who declines needs no baseline
    if compared_with is not None and history.state.candidate != version:
        _require_way_back(context, compared_with)
    baseline = _baseline(context, approved, compared_with) if compared_with is not None else None
    witness = context.rollout.witness()
    context.journal.decide(rule)
    context.rollout.settle()
    return judge_in_traffic(context, approved, baseline=baseline, witness=witness)


def _baseline(context: Context, approved: ApprovedLabels, serving: int) -> BaselineRecord:
    """What the version that serves answers, asked before the candidate takes its place; once for a run.

    Raises:
        CouldNotTellError: not every replica answers from it.
        FailedError: it answers with a label at another index than the candidate's list says.
    """
    kept = context.records.find(BaselineRecord)
    if kept is not None:
        return kept
    arrival = context.rollout.wait_followed(serving)
    if arrival.overtaken:
        raise DeclinedError(f"another decision was made meanwhile: {context.journal.read().state}")
    if not arrival.complete:
        context.records.note_attempt("canary", arrival.verdict())
        raise CouldNotTellError(
            f"not every replica answers from v{serving}, so there is nothing to compare with and nothing was exposed: "
            f"{arrival}"
        )
    reports = question_all(context, arrival.there, approved, version=serving)
    problems = [f"{report.address}: {report.problem}" for report in reports if report.problem]
    if problems:
        raise CouldNotTellError(
            f"v{serving} could not be measured, so there is nothing to compare with and nothing was exposed: "
            f"{'; '.join(problems)}"
        )
    failures = label_failures(reports)
    if failures:
        verdict = conclude(failures)
        context.records.note_attempt("canary", verdict)
        raise FailedError(f"nothing was exposed, and v{serving} still serves: {verdict}")
    comparable = any(each.label in approved.serving_labels for each in context.records.need(ProbeSet).fresh)
    return context.records.finish(
        BaselineRecord(
            version=serving,
            fresh_right=max(report.fresh_right for report in reports) if comparable else None,
            latency_ms=statistics.median(report.latency_ms for report in reports),
        )
    )


def _require_way_back(context: Context, serving: int) -> None:
    """Refuse to expose a candidate when the serving version could not be restored.

    Raises:
        CouldNotTellError: its files are not those to come back to.
    """
    try:
        context.manifests.look_over(serving, context.journal.read())
    except (DamagedError, MissingError) as error:
        raise CouldNotTellError(
            f"v{serving} serves, and could not be restored if the candidate is bad, so nothing was exposed: {error}"
        ) from error
