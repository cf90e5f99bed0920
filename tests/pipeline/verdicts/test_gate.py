"""The gate's verdicts: each rule, and the numbers in its reason."""

from typing import Any

import pytest

from pipeline.spec import GatePolicy
from pipeline.verdicts.gate import judge, soundness
from pipeline.verdicts.measurements import Evaluation, Performance
from pipeline.verdicts.verdict import Check, Decision

POLICY = GatePolicy(margin=0.02, min_accuracy=0.6, min_class_recall=0.3)


def performance(right: str = "1" * 450 + "0" * 50, **changes: object) -> Performance:
    values: dict[str, object] = {
        "model_digest": "m",
        "data_digest": "d",
        "examples": len(right),
        "accuracy": right.count("1") / len(right) if right else 0.0,
        "class_recall": {"0": 0.9, "1": 0.8},
        "calibration_error": 0.05,
        "finite": True,
        "size_mb": 1.0,
        "latency_ms": 2.0,
        "right": right,
    }
    return Performance.model_validate(values | changes)


def against(candidate: Performance, serving: Performance | None) -> Evaluation:
    return Evaluation(candidate=candidate, serving_version=7 if serving else None, serving=serving)


def test_a_first_candidate_is_judged_by_absolute_limits_alone() -> None:
    verdict = judge(against(performance(), None), POLICY)

    assert verdict.decision is Decision.PASS
    assert "accuracy 0.9 >= 0.6" in verdict.reasons


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("accuracy 0.5 < 0.6 (gate.min_accuracy)", {"accuracy": 0.5}),
        ("recall of class '1' 0.1 < 0.3 (gate.min_class_recall)", {"class_recall": {"0": 0.99, "1": 0.1}}),
        ("calibration error 0.5 > 0.2 (gate.max_calibration_error)", {"calibration_error": 0.5}),
        ("calibration error nan > 0.2 (gate.max_calibration_error)", {"calibration_error": float("nan")}),
        ("size in MB 900 > 500 (gate.max_size_mb)", {"size_mb": 900}),
        ("latency in ms 300 > 200 (gate.max_latency_ms)", {"latency_ms": 300}),
        ("the candidate answers with NaN or infinity", {"finite": False}),
    ],
)
def test_each_limit_fails_by_itself_and_says_its_numbers_and_its_key(reason: str, changes: dict[str, Any]) -> None:
    verdict = judge(against(performance(**changes), None), POLICY)

    assert verdict.decision is Decision.FAIL
    assert (reason,) == verdict.reasons


def test_a_constant_model_fails_by_the_recall_of_the_classes_it_never_names() -> None:
    """F19: the accuracy of always saying the commonest class can be high."""
    constant = performance(accuracy=0.9, class_recall={"0": 1.0, "1": 0.0})

    assert judge(against(constant, None), POLICY).decision is Decision.FAIL


def test_a_candidate_as_good_as_what_serves_passes() -> None:
    verdict = judge(against(performance(), performance()), POLICY)

    assert verdict.decision is Decision.PASS
    assert "of version 7: difference at least" in verdict.reasons[-1]


def test_a_candidate_that_is_worse_fails_with_both_accuracies() -> None:
    worse = performance("1" * 400 + "0" * 100)
    verdict = judge(against(worse, performance()), POLICY)

    assert verdict.decision is Decision.FAIL
    assert "accuracy 0.8000 against 0.9000 of version 7" in verdict.reasons[0]
    assert verdict.reasons[0].endswith("-0.1000 <= -0.02 (gate.margin)")


def test_too_few_examples_to_decide_is_its_own_answer_and_says_how_many_would_do() -> None:
    few = performance("1" * 45 + "0" * 5)
    verdict = judge(against(few, few), POLICY)

    assert verdict.decision is Decision.UNKNOWN
    assert "too few examples to decide, about 133 would do" in verdict.reasons[0]


def test_a_serving_model_that_could_not_be_measured_leaves_it_unknown() -> None:
    evaluation = Evaluation(candidate=performance(), serving_version=7, serving=None)
    verdict = judge(evaluation, POLICY)

    assert verdict.decision is Decision.UNKNOWN
    reason = (
        "version 7 serves, and `evaluate` did not measure it, so the candidate cannot be compared. Trigger a new run"
    )
    assert (reason,) == verdict.reasons


def test_models_measured_on_different_examples_are_not_compared() -> None:
    """F20: an evaluation set that changed makes two accuracies incomparable."""
    verdict = judge(against(performance(), performance(data_digest="other")), POLICY)

    assert verdict.decision is Decision.UNKNOWN


def test_images_of_a_label_that_is_new_to_the_serving_version_are_not_compared() -> None:
    """They are no mistakes of a model that could not know it, and no merit of the candidate."""
    evaluation = Evaluation(
        candidate=performance("1" * 360 + "0" * 40 + "1" * 100),
        serving_version=7,
        serving=performance("1" * 400 + "0" * 100),
        serving_labels=("0",),
        comparable="1" * 400 + "0" * 100,
    )
    verdict = judge(evaluation, POLICY)

    assert Decision.FAIL is verdict.decision
    assert "accuracy 0.9000 against 1.0000 of version 7" in verdict.reasons[0]
    assert "on 400 examples (100 more show labels that it does not know)" in verdict.reasons[0]


def test_models_that_have_no_label_in_common_are_not_compared() -> None:
    right = performance()
    evaluation = Evaluation(candidate=right, serving_version=7, serving=right, comparable="0" * 500)
    verdict = judge(evaluation, POLICY)

    assert Decision.UNKNOWN is verdict.decision
    assert "no held-out image has a label that version 7 knows" in verdict.reasons[0]


def test_labels_that_changed_fail_a_candidate_that_is_better() -> None:
    moved = Check(decision=Decision.FAIL, reason="label 'dog' of v7 is missing")
    verdict = judge(against(performance("1" * 500), performance()), POLICY, labels=[moved])

    assert Decision.FAIL is verdict.decision
    assert ("label 'dog' of v7 is missing",) == verdict.reasons


def test_no_examples_are_no_evidence() -> None:
    nothing = performance("", examples=0, accuracy=float("nan"), class_recall={})

    assert judge(against(nothing, None), POLICY).decision is Decision.FAIL
    assert soundness(against(nothing, None)) != []
