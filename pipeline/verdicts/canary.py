"""Decide whether a candidate may get traffic, from the answers of every replica. Pure."""

from collections.abc import Sequence

from pipeline.first_few import first_few
from pipeline.spec import CanaryPolicy
from pipeline.verdicts.verdict import Check, Decision, Verdict, at_most, conclude
from serving.questions import ReplicaReport

# If the order of labels is wrong, all of them are; a message shows a few.
_SHOWN = 5


def judge(reports: Sequence[ReplicaReport], *, expected: int, min_accuracy: float, policy: CanaryPolicy) -> Verdict:
    """The canary's verdict over all replicas; each must pass on its own.

    Args:
        reports: one per existing replica.
        expected: how many replicas there should be.
        min_accuracy: the lowest share of right answers, 0 to 1, on labelled images, if nothing serves to compare with.
        policy: the model's own limits.
    """
    checks = [_presence(len(reports), expected)]
    for report in reports:
        checks += _one_replica(report, min_accuracy=min_accuracy, policy=policy)
    return conclude(checks)


def label_failures(reports: Sequence[ReplicaReport]) -> list[Check]:
    """A failed check for each replica whose answers do not agree with the approved labels."""
    return [check for check in map(_labels, reports) if check.decision is Decision.FAIL]


def _presence(asked: int, expected: int) -> Check:
    if asked == 0:
        return Check(
            decision=Decision.FAIL,
            reason=f"0 of {expected} replicas were asked, so nothing is known about the candidate",
        )
    if asked < expected:
        return Check(decision=Decision.UNKNOWN, reason=f"{asked} of {expected} replicas were asked")
    return Check(decision=Decision.PASS, reason=f"{asked} of {expected} replicas were asked")


def _one_replica(report: ReplicaReport, *, min_accuracy: float, policy: CanaryPolicy) -> list[Check]:
    if report.problem:
        decision = Decision.UNKNOWN if report.unreachable else Decision.FAIL
        return [Check(decision=decision, reason=f"{report.address}: {report.problem}")]
    return [
        _version(report),
        _labels(report),
        _golden(report),
        _fresh(report, min_accuracy=min_accuracy, policy=policy),
        *_latency(report, policy),
    ]


def _version(report: ReplicaReport) -> Check:
    measured = f"{report.address}: asked for version {report.version}, answered by {report.answered_by}"
    right = report.answered_by == {report.version}
    return Check(decision=Decision.PASS if right else Decision.FAIL, reason=measured)


def _labels(report: ReplicaReport) -> Check:
    problems = report.label_problems
    if not problems:
        return Check(decision=Decision.PASS, reason=f"{report.address}: labels are at their approved indices")
    listed = first_few(problems, _SHOWN, separator="; ")
    return Check(decision=Decision.FAIL, reason=f"{report.address}: {listed}")


def _golden(report: ReplicaReport) -> Check:
    measured = f"{report.address}: {report.golden_wrong} of {report.golden_asked} golden answers differ"
    if report.golden_asked == 0:
        return Check(
            decision=Decision.FAIL,
            reason=(
                f"{report.address}: the canary had no golden answers to compare with, so the candidate is rejected. "
                f"Trigger a new run"
            ),
        )
    if report.golden_wrong:
        return Check(decision=Decision.FAIL, reason=f"{measured} (largest error {report.golden_error:.3g})")
    return Check(decision=Decision.PASS, reason=measured)


def _fresh(report: ReplicaReport, *, min_accuracy: float, policy: CanaryPolicy) -> Check:
    if report.fresh_asked == 0:
        return Check(
            decision=Decision.FAIL,
            reason=(
                f"{report.address}: the canary had no fresh images to test with, so the candidate is rejected. Add "
                f"images, then trigger a new run"
            ),
        )
    accuracy = report.fresh_right / report.fresh_asked
    if report.fresh_right_serving is None:
        floor, meaning, key = min_accuracy, f"the floor {min_accuracy:.3f}", "gate.min_accuracy"
    else:
        serving = report.fresh_right_serving / report.fresh_asked
        floor = serving - policy.max_accuracy_drop
        meaning, key = f"serving {serving:.3f} - {policy.max_accuracy_drop}", "canary.max_accuracy_drop"
    if accuracy >= floor:
        return Check(decision=Decision.PASS, reason=f"{report.address}: fresh accuracy {accuracy:.3f} >= {meaning}")
    return Check(decision=Decision.FAIL, reason=f"{report.address}: fresh accuracy {accuracy:.3f} < {meaning} ({key})")


def _latency(report: ReplicaReport, policy: CanaryPolicy) -> list[Check]:
    if report.latency_ms_serving is None:
        return []
    limit = report.latency_ms_serving * policy.max_latency_ratio + policy.latency_slack_ms
    name = f"{report.address}: median latency in ms"
    return [at_most(name, report.latency_ms, limit, key="canary.max_latency_ratio and canary.latency_slack_ms")]
