"""Load the candidate in the first ring, then on every replica, dark where the roll-out can, and question each."""

import base64
from functools import partial

from pipeline.commands import with_model
from pipeline.context import RunContext
from pipeline.errors import BadInputError, CouldNotTellError, DamagedError, DeclinedError, FailedError
from pipeline.inspection.served_labels import served_labels
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History, Rule
from pipeline.journal.manifests import golden_digest
from pipeline.rollout.questioning import Judged, Probes, Questioning
from pipeline.rules import holds
from pipeline.rules import run as run_rules
from pipeline.runs.records import CanaryRecord, GateRecord, ProbeSet, PublishRecord, SpecRecord
from pipeline.verbs.withdraw import take_back
from pipeline.verdicts.labels import ApprovedLabels
from pipeline.verdicts.verdict import Decision, Verdict
from serving.questions import Golden, Labelled

# A replica that restarts may be missing from the list for a moment.
_RESTART_SECONDS = 5.0


def canary(context: RunContext) -> CanaryRecord:
    """Read the version back, expose it, wait until every replica has loaded it, question every replica, judge.

    If the fleet has a first ring, the candidate is exposed to that alone, questioned and observed, and then to the
    other replicas.

    A candidate that ends the servers which load it, or makes them silent, is taken back at once: whoever runs
    `withdraw` next may take seconds to begin, and every server that starts meanwhile loads it again. If a single
    process has ended, that may be the fault of its machine: the run declines, and the model may be published again. So
    it may be after a silence.

    In the latest roll-out to expose is to give traffic. So what serves is questioned before, as the baseline; each
    replica is questioned as soon as it has loaded the candidate; and the first bad answer ends it, with the candidate
    taken back at once.

    A verdict other than PASS is kept as an attempt, so that clearing the task asks again as long as the candidate has
    not been withdrawn.

    Raises:
        BadInputError: a replica serves another model; nothing was exposed.
        DamagedError: the files or the questions are not what was approved; nothing was exposed by this call.
        FailedError: a replica cannot load the candidate, answered wrongly, or has ended since it was exposed.
        CouldNotTellError: a replica gave no answer before the deadline; or nothing was exposed by this call, because
            fewer replicas are listed than there should be, or the labels of the version that serves cannot be read.
    """
    version = context.records.require(PublishRecord).version
    _require_approved(context, version)
    approved = _labels(context, version)
    context.replicas.require_own_fleet()
    _require_whole_fleet(context, version)
    try:
        judged = _prove(context, approved)
        # A roll-back may have taken the seat meanwhile; then the answers say nothing about the candidate.
        run_rules.require_candidate(context.journal.read().state, version)
    except DeclinedError as declined:
        reason = with_model(str(declined), context.model)
        context.decline_candidate(version, reason=reason)
        return CanaryRecord(outcome="declined", reason=reason, version=version, verdict=None)
    except BadInputError:
        # A replica that was silent before turned out to be of another fleet.
        if _has_traffic(context, version):
            take_back(context, version, context.run_key)
        raise
    verdict = judged.verdict
    if verdict.decision is Decision.PASS:
        return CanaryRecord(version=version, verdict=verdict, load_seconds=round(judged.load_seconds, 2))
    context.records.note_attempt("canary", verdict)
    if judged.forgivable:
        return _declined_at_once(context, version, verdict)
    if judged.harmful or _has_traffic(context, version):
        # Users are affected, and whoever runs `withdraw` next may take seconds to begin.
        take_back(context, version, context.run_key)
    raise (CouldNotTellError if verdict.decision is Decision.UNKNOWN else FailedError)(f"v{version}: {verdict}")


def _declined_at_once(context: RunContext, version: int, verdict: Verdict) -> CanaryRecord:
    """Take the candidate back, for good only if a server has ended on its model before.

    Raises:
        CouldNotTellError: the verdict is UNKNOWN; or the version is not the candidate any more, and was not touched.
        FailedError: it is withdrawn.
    """
    rule = partial(run_rules.decline_harmful, version=version, verdict=verdict)
    history = context.journal.decide(rule)
    context.rollout.settle()
    entry = history.withdrawal(version)
    if entry is None:
        raise CouldNotTellError(
            f"v{version} is not the candidate any more, because another process of this run went on ({history.state}). "
            f"It was left as it is: {verdict}"
        )
    if entry.event is Event.WITHDRAWN:
        raise FailedError(f"v{version}: {entry.reason}")
    reason = (
        f"v{version} was taken back from the replicas: {verdict}. The reason may be the machine, so the same model may "
        f"be published again by a new run. If a server ends on it again, it is withdrawn"
    )
    if verdict.decision is Decision.UNKNOWN:
        raise CouldNotTellError(reason)
    return CanaryRecord(outcome="declined", reason=reason, version=version, verdict=None)


def _has_traffic(context: RunContext, version: int) -> bool:
    """Whether users get answers from the candidate while it is proven."""
    state = context.journal.read().state
    return state.candidate == version and context.rollout.placement.answering(state, first_ring=True) == version


def _require_whole_fleet(context: RunContext, version: int) -> None:
    """Refuse to expose a candidate to fewer replicas than there should be: the others would never be asked.

    A candidate that is exposed already is waited for, and what becomes of it is decided after the wait.
    """
    state = context.journal.read().state
    if state.candidate == version:
        return
    try:
        context.replicas.require_enough(seconds=_RESTART_SECONDS)
    except CouldNotTellError as error:
        serves = f", and v{state.serving} still serves" if state.serving is not None else ""
        raise CouldNotTellError(
            f"{error}. The candidate was not loaded{serves}. {_way_out(context)}; then repeat this step (in Airflow: "
            f"clear the task)"
        ) from error


def _way_out(context: RunContext) -> str:
    ring = context.fleet.first_ring
    if ring is not None and ring not in context.fleet.groups:
        return (
            f"UNDERSTUDY_REPLICAS hides the first ring, the group {ring}: it must list replicas of that group and "
            f"others. Unset it, or name all replicas in it"
        )
    return f"If the minimum or the source of the fleet is wrong, run `understudy fleet set --model {context.model}`"


def _require_approved(context: RunContext, version: int) -> None:
    """What is about to be loaded, and what it will be asked, is what was approved under this number."""
    manifest = context.manifests.verify(version, context.journal.read())
    if golden_digest(context.records.require(ProbeSet)) != manifest.golden_digest:
        raise DamagedError(f"the golden answers of run {context.run_key} are not those v{version} was approved with")


def _labels(context: RunContext, version: int) -> ApprovedLabels:
    gate = context.records.require(GateRecord)
    labels = context.manifests.labels(version, context.journal.read())
    # What the gate has read is believed: the manifest of what serves may be lost while users meet a bad candidate.
    serving_labels = gate.serving_labels
    if serving_labels is None:
        serving_labels = served_labels(context, gate.serving_version)
    return ApprovedLabels(version=version, labels=labels, serving=gate.serving_version, serving_labels=serving_labels)


def _prove(context: RunContext, approved: ApprovedLabels) -> Judged:
    version, serving = approved.version, approved.serving

    def unless_held(rule: Rule) -> Rule:
        return holds.declined_if_held(rule, now=context.clock.now(), model=context.model)

    def everywhere(history: History, *, verdict: Verdict | None) -> Change | None:
        rule = partial(run_rules.expose_everywhere, version=version, compared_with=serving, verdict=verdict)
        return unless_held(rule)(history)

    exposing = partial(
        run_rules.expose,
        version=version,
        compared_with=serving,
        first_ring_only=context.replicas.first_ring is not None,
    )
    return context.strategy.prove(
        Questioning(context.model, _probes(context, approved), context.replicas),
        expose=unless_held(exposing),
        expose_everywhere=everywhere,
        records=context.records,
    )


def _probes(context: RunContext, approved: ApprovedLabels) -> Probes:
    """What `evaluate` has recorded, and the limits of this run."""
    spec = context.records.require(SpecRecord).spec.model
    recorded = context.records.require(ProbeSet)
    return Probes(
        golden=[Golden(base64.b64decode(g.image), g.label, g.probabilities) for g in recorded.golden],
        fresh=[Labelled(base64.b64decode(f.image), f.label) for f in recorded.fresh],
        labels=approved,
        policy=spec.canary,
        min_accuracy=spec.gate.min_accuracy,
    )
