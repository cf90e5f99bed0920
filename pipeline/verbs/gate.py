"""Decide whether the candidate may be published."""

from pipeline.context import RunContext
from pipeline.errors import CouldNotTellError
from pipeline.runs.records import EvaluateRecord, GateRecord, SnapshotRecord, SpecRecord
from pipeline.spec import RunSpec
from pipeline.tracking.tags import gate_tags, refusal_tags
from pipeline.verdicts.gate import judge, soundness
from pipeline.verdicts.labels import judge_labels
from pipeline.verdicts.measurements import Evaluation
from pipeline.verdicts.verdict import Check, Decision


def gate(context: RunContext) -> GateRecord:
    """Judge the evaluation; a person's `force` overrules a no, but neither an unsound candidate nor changed labels.

    Raises:
        CouldNotTellError: the serving model could not be measured, or there are too few examples to decide, or the
            labels of the serving model are not known.
    """
    spec = context.records.require(SpecRecord).spec
    evaluation = context.records.require(EvaluateRecord).evaluation
    labels = _judge_labels(evaluation, spec, context.records.require(SnapshotRecord))
    verdict = judge(evaluation, spec.model.gate, labels=labels)
    compared_with = evaluation.serving_version
    seen = gate_tags(verdict)
    if verdict.decision is Decision.PASS:
        context.tag_run(seen | {"decision": "approved by the gate"})
        return GateRecord(verdict=verdict, serving_version=compared_with, serving_labels=evaluation.serving_labels)
    if spec.force and not soundness(evaluation) and all(check.decision is Decision.PASS for check in labels):
        context.tag_run(gate_tags(verdict, overruled=True) | {"decision": "approved by a person"})
        reason = f"forced by {spec.requested_by}: {spec.note}"
        return GateRecord(
            verdict=verdict,
            serving_version=compared_with,
            serving_labels=evaluation.serving_labels,
            forced_by=spec.requested_by,
            reason=reason,
        )
    if verdict.decision is Decision.UNKNOWN:
        context.tag_run(seen | refusal_tags("undecided by the gate", str(verdict)))
        context.records.note_attempt("gate", verdict)
        raise CouldNotTellError(str(verdict))
    context.tag_run(seen | refusal_tags("declined by the gate", str(verdict)))
    return GateRecord(outcome="declined", reason=str(verdict), verdict=verdict, serving_version=compared_with)


def _judge_labels(evaluation: Evaluation, spec: RunSpec, data: SnapshotRecord) -> list[Check]:
    if evaluation.serving_version is None:
        return []
    return judge_labels(
        data.labels,
        present=data.present(),
        accepted=spec.accept_labels,
        serving_version=evaluation.serving_version,
        serving=evaluation.serving_labels,
        arranged_for=data.serving_version,
    )
