"""The canary's verdicts over the replicas' reports."""

from dataclasses import replace

import pytest

from pipeline.spec import CanaryPolicy
from pipeline.verdicts.canary import judge
from pipeline.verdicts.verdict import Decision, Verdict
from serving.questions import ReplicaReport

GOOD = ReplicaReport(
    address="a:1",
    version=3,
    answered_by={3},
    golden_asked=20,
    fresh_asked=60,
    fresh_right=58,
    fresh_right_serving=59,
    latency_ms=2.0,
    latency_ms_serving=2.0,
)


def verdict(*reports: ReplicaReport, expected: int = 2) -> Verdict:
    return judge(reports, expected=expected, min_accuracy=0.6, policy=CanaryPolicy())


def test_good_answers_from_every_replica_pass() -> None:
    assert verdict(GOOD, replace(GOOD, address="b:1")).decision is Decision.PASS


def test_zero_replicas_are_no_evidence() -> None:
    """F31: never a vacuous pass."""
    assert verdict().decision is Decision.FAIL


def test_fewer_replicas_than_expected_leave_it_unknown() -> None:
    assert verdict(GOOD).decision is Decision.UNKNOWN


def test_one_bad_replica_among_good_ones_fails_and_is_named() -> None:
    bad = replace(GOOD, address="b:1", golden_wrong=4, golden_error=0.7)
    judged = verdict(GOOD, bad)

    assert judged.decision is Decision.FAIL
    assert ("b:1: 4 of 20 golden answers differ (largest error 0.7)",) == judged.reasons


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("asked for version 3, answered by {2, 3}", {"answered_by": {2, 3}}),
        ("v3 answers 'dog' at index 0", {"label_problems": ("v3 answers 'dog' at index 0",)}),
        ("e; and 3 more", {"label_problems": tuple("abcdefgh")}),
        ("the canary had no golden answers to compare with, so the candidate is rejected", {"golden_asked": 0}),
        ("the canary had no fresh images to test with, so the candidate is rejected. Add images", {"fresh_asked": 0}),
        ("fresh accuracy 0.833 < serving 0.983 - 0.05 (canary.max_accuracy_drop)", {"fresh_right": 50}),
        (
            "fresh accuracy 0.500 < the floor 0.600 (gate.min_accuracy)",
            {"fresh_right": 30, "fresh_right_serving": None},
        ),
        ("median latency in ms 90 > 26 (canary.max_latency_ratio and canary.latency_slack_ms)", {"latency_ms": 90.0}),
        ("INVALID_ARGUMENT: no", {"problem": "INVALID_ARGUMENT: no"}),
    ],
)
def test_each_rule_fails_by_itself(reason: str, changes: dict[str, object]) -> None:
    """F21 too slow, F27 answered by two versions, F53 nothing to ask: none of them passes."""
    judged = verdict(GOOD, replace(GOOD, address="b:1", **changes))  # type: ignore[arg-type]

    assert judged.decision is Decision.FAIL
    assert reason in judged.reasons[0]


def test_a_replica_that_gave_no_answer_leaves_it_unknown() -> None:
    """F25, F54: the client's deadline is not the model's fault."""
    silent = ReplicaReport(address="b:1", version=3, problem="DEADLINE_EXCEEDED: late", unreachable=True)

    assert verdict(GOOD, silent).decision is Decision.UNKNOWN


def test_something_bad_outweighs_something_unknown() -> None:
    silent = ReplicaReport(address="b:1", version=3, problem="UNAVAILABLE: gone", unreachable=True)

    assert verdict(replace(GOOD, golden_wrong=1), silent).decision is Decision.FAIL
