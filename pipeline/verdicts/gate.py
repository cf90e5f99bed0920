"""Decide whether a candidate may be published. Pure; nothing has left the run yet."""

from collections.abc import Sequence

from pipeline.spec import GatePolicy
from pipeline.verdicts.measurements import Evaluation, Performance
from pipeline.verdicts.paired import Pairs, examples_needed, lower_bound
from pipeline.verdicts.verdict import Check, Decision, Verdict, at_least, at_most, conclude

_NO_IMAGES = "there are no held-out images, so the candidate cannot be judged. Add images, then trigger a new run"


def judge(evaluation: Evaluation, policy: GatePolicy, *, labels: Sequence[Check] = ()) -> Verdict:
    """The gate's verdict: soundness and absolute limits, and if a version serves, that the candidate is not worse.

    Args:
        evaluation: the figures of both.
        policy: the model's own limits.
        labels: the checks of the candidate's labels against those of the serving version.
    """
    checks = [*soundness(evaluation), *labels, *limits(evaluation.candidate, policy)]
    if evaluation.serving_version is not None:
        checks.append(_not_worse(evaluation, policy))
    return conclude(checks)


def soundness(evaluation: Evaluation) -> list[Check]:
    """The failures that no person may overrule: answers that are not finite, or no answers at all."""
    candidate = evaluation.candidate
    checks = []
    if not candidate.finite:
        checks.append(Check(decision=Decision.FAIL, reason="the candidate answers with NaN or infinity"))
    if candidate.examples == 0:
        checks.append(Check(decision=Decision.FAIL, reason=_NO_IMAGES))
    return checks


def limits(candidate: Performance, policy: GatePolicy) -> list[Check]:
    """The checks against the absolute limits of the model file."""
    worst = min(candidate.class_recall, key=candidate.class_recall.__getitem__, default=None)
    recall = candidate.class_recall[worst] if worst is not None else 0.0
    return [
        at_least("accuracy", candidate.accuracy, policy.min_accuracy, key="gate.min_accuracy"),
        at_least(f"recall of class {worst!r}", recall, policy.min_class_recall, key="gate.min_class_recall"),
        at_most(
            "calibration error",
            candidate.calibration_error,
            policy.max_calibration_error,
            key="gate.max_calibration_error",
        ),
        at_most("size in MB", candidate.size_mb, policy.max_size_mb, key="gate.max_size_mb"),
        at_most("latency in ms", candidate.latency_ms, policy.max_latency_ms, key="gate.max_latency_ms"),
    ]


def _not_worse(evaluation: Evaluation, policy: GatePolicy) -> Check:
    version = evaluation.serving_version
    if evaluation.serving is None:
        reason = (
            f"version {version} serves, and `evaluate` did not measure it, so the candidate cannot be compared. "
            f"Trigger a new run"
        )
        return Check(decision=Decision.UNKNOWN, reason=reason)
    if not _same_examples(evaluation.candidate, evaluation.serving):
        reason = (
            f"version {version} was measured on other images ({evaluation.serving.data_digest[:12]}) than the "
            f"candidate, so the two cannot be compared. Trigger a new run"
        )
        return Check(decision=Decision.UNKNOWN, reason=reason)
    accuracies = evaluation.accuracies()
    if accuracies is None:
        reason = f"no held-out image has a label that version {version} knows, so the two models cannot be compared"
        return Check(decision=Decision.UNKNOWN, reason=f"{reason}; to publish all the same, trigger a run with force")
    pairs = _pair(evaluation)
    bound = lower_bound(pairs, confidence=policy.confidence)
    measured = (
        f"accuracy {accuracies[0]:.4f} against {accuracies[1]:.4f} of version {version}: "
        f"difference at least {bound:+.4f} at {policy.confidence:.0%} on {pairs.total} examples"
        f"{_left_out(evaluation)}"
    )
    if bound > -policy.margin:
        return Check(decision=Decision.PASS, reason=f"{measured} > -{policy.margin}")
    needed = examples_needed(pairs, margin=policy.margin, confidence=policy.confidence)
    if needed is None:
        return Check(
            decision=Decision.FAIL, reason=f"{measured}; {pairs.difference:+.4f} <= -{policy.margin} (gate.margin)"
        )
    return Check(
        decision=Decision.UNKNOWN,
        reason=f"{measured} <= -{policy.margin} (gate.margin); too few examples to decide, about {needed} would do",
    )


def _same_examples(candidate: Performance, serving: Performance) -> bool:
    return candidate.data_digest == serving.data_digest and len(candidate.right) == len(serving.right)


def _pair(evaluation: Evaluation) -> Pairs:
    outcomes = evaluation.compared()
    return Pairs(
        total=len(outcomes),
        only_candidate_right=outcomes.count((True, False)),
        only_serving_right=outcomes.count((False, True)),
    )


def _left_out(evaluation: Evaluation) -> str:
    count = evaluation.comparable.count("0")
    return f" ({count} more show labels that it does not know)" if count else ""
