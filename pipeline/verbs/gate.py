"""Decide whether the candidate may be published."""

from pipeline.context import Context
from pipeline.errors import CouldNotTellError
from pipeline.records import EvaluateRecord, GateRecord, SpecRecord
from pipeline.verdicts.gate import judge, soundness
from pipeline.verdicts.verdict import Decision


def gate(context: Context) -> GateRecord:
    """Judge the evaluation; a person's `force` overrules a no, but never an unsound candidate.

    Raises:
        CouldNotTellError: the serving model could not be measured, or there are too few examples to decide.
    """
    spec = context.records.need(SpecRecord).spec
    evaluation = context.records.need(EvaluateRecord).evaluation
    verdict = judge(evaluation, spec.model.gate)
    compared_with = evaluation.serving_version
    if verdict.decision is Decision.PASS:
        return GateRecord(verdict=verdict, serving_version=compared_with)
    if spec.force and not soundness(evaluation):
        told = f"forced by {spec.requested_by}: {spec.note}"
        return GateRecord(verdict=verdict, serving_version=compared_with, forced_by=spec.requested_by, reason=told)
    if verdict.decision is Decision.UNKNOWN:
        context.mirror_refusal("undecided by the gate")
        context.records.note_attempt("gate", verdict)
        raise CouldNotTellError(str(verdict))
    context.mirror_refusal("declined by the gate")
    return GateRecord(outcome="declined", reason=str(verdict), verdict=verdict, serving_version=compared_with)
