"""Question replicas about one version, and judge their answers.

The questions are an argument. The canary of a run asks those that `evaluate` recorded; another check may use its own.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeline.rollout.canary_end import CanaryEnd
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.pod_changes import processes
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.wait_result import WaitResult
from pipeline.spec import CanaryPolicy
from pipeline.verdicts.canary import judge
from pipeline.verdicts.labels import ApprovedLabels
from pipeline.verdicts.verdict import Decision, Verdict
from serving.canary import question
from serving.questions import Golden, Labelled, Questions, ReplicaReport
from serving.replica import Replica

log = logging.getLogger(__name__)

# One server process that ends may be the fault of its machine.
_ENOUGH_ENDS = 2


@dataclass(frozen=True)
class Probes:
    """The questions for replicas, and the expected answers.

    Attributes:
        golden: encoded images, and the answers of the approved model.
        fresh: encoded images with their true labels.
        labels: the labels of the version in question and of the serving version.
        policy: tolerances and limits.
        min_accuracy: the share of fresh images, 0 to 1, that must be recognised if no serving version exists to compare
            with.
    """

    golden: Sequence[Golden]
    fresh: Sequence[Labelled]
    labels: ApprovedLabels
    policy: CanaryPolicy
    min_accuracy: float

    @property
    def comparable(self) -> Sequence[Labelled]:
        """The fresh images whose label the serving version knows."""
        return [each for each in self.fresh if each.label in self.labels.serving_labels]


@dataclass(frozen=True)
class Judged:
    """The result of the canary.

    Attributes:
        verdict: over all replicas.
        load_seconds: until the slowest replica had loaded the version, polling included.
        harmful: servers have ended or give no answer since the version was exposed. It must be removed at once.
        forgivable: likewise, but what speaks against it may be the fault of a machine or of a setting, so its model may
            be published again.
    """

    verdict: Verdict
    load_seconds: float
    harmful: bool = False
    forgivable: bool = False


class Questioning:
    """Asks every replica of a fleet the same questions, and judges the answers.

    Attributes:
        model: the name of the model.
        probes: what to ask.
        replicas: those of the fleet, or of its first ring.
    """

    def __init__(self, model: str, probes: Probes, replicas: Replicas) -> None:
        self.probes = probes
        self.replicas = replicas
        self.model = model

    def within(self, replicas: Replicas) -> "Questioning":
        """The same questions to these replicas alone."""
        return Questioning(self.model, self.probes, replicas)

    def ask(
        self,
        addresses: Sequence[str],
        *,
        version: int,
        beside: int | None = None,
        crashes: CrashDetector | None = None,
    ) -> list[ReplicaReport]:
        """Question replicas, several at once; one report for each, in the order of the addresses.

        If a version serves, only labelled images are asked whose label it knows; if there are none of these, all of
        them.

        Args:
            addresses: the replicas to ask.
            version: the version to ask about.
            beside: the serving version, if it is in memory too, to compare with.
            crashes: notified of broken connections. Once it has a reason against the version, no further replica is
                asked.
        """
        probes = self.probes
        known = probes.comparable
        questions = Questions(
            model=self.model,
            version=version,
            serving=beside,
            golden=probes.golden,
            fresh=known or probes.fresh,
            labels=probes.labels.of(version),
            tolerance=probes.policy.tolerance,
            latency_rounds=probes.policy.latency_rounds,
            serving_labels=probes.labels.of(beside) if beside is not None else (),
            serving_knows_fresh=bool(known),
        )
        end = CanaryEnd(self.replicas, crashes) if crashes else None
        return self.replicas.ask(partial(self._ask_one, questions=questions, end=end), addresses)

    def unasked(self, addresses: Sequence[str], reports: Mapping[str, ReplicaReport]) -> list[str]:
        """Those of which the server process has no report: one that has taken its place is asked itself (F27)."""
        now = processes(self.replicas.fleet)
        return [each for each in addresses if each not in reports or reports[each].process != now.get(each)]

    def failure(self, reports: Iterable[ReplicaReport]) -> Verdict | None:
        """The verdict on the version if an answer speaks against it, whatever has happened to its server since.

        That a server does not have the version is no such answer: another one may have just taken its place.
        """
        counted = [report for report in reports if not report.not_served]
        verdict = self.verdict(counted)
        return verdict if counted and verdict.decision is Decision.FAIL else None

    def verdict(self, reports: Iterable[ReplicaReport]) -> Verdict:
        """The verdict on the version, from these reports alone."""
        return judge(
            list(reports),
            expected=self.replicas.expected,
            min_accuracy=self.probes.min_accuracy,
            policy=self.probes.policy,
        )

    def conclude(
        self, result: WaitResult, reports: dict[str, ReplicaReport], *, crashes: CrashDetector, load_seconds: float
    ) -> Judged:
        """The result of the canary, after a wait has ended and these replicas have been asked.

        Servers that have ended come first, then wrong answers, then servers that have become silent, then the wait. A
        wrong answer is never forgiven, also if its replica was removed, replaced or started again after it.

        Args:
            result: how the last wait ended.
            reports: the answers so far, by address.
            crashes: knows which servers have ended.
            load_seconds: as in `Judged`.
        """
        listed = self.replicas.known_addresses()
        failure = self.failure(reports.values())
        if reasons := crashes.reasons(listed):
            verdict = Verdict(decision=Decision.FAIL, reasons=(*reasons, *(failure.reasons if failure else ())))
            forgivable = failure is None and crashes.ends(listed) < _ENOUGH_ENDS
            return Judged(verdict, load_seconds, harmful=True, forgivable=forgivable)
        verdict = failure or self._conclude(result, reports)
        silences = crashes.silences(listed)
        if silences and failure is None:
            verdict = Verdict(decision=Decision.UNKNOWN, reasons=silences)
            return Judged(verdict, load_seconds, harmful=True, forgivable=True)
        if self._is_another_config(result):
            shown = f"`understudy fleet show --model {self.model}` shows with which flag to start it"
            hint = f"its server does not read what the first ring should: {shown}"
            reasons = tuple(f"{state.address}: {state.message}; {hint}" for state in result.pending)
            return Judged(Verdict(decision=Decision.UNKNOWN, reasons=reasons), load_seconds, forgivable=True)
        return Judged(verdict, load_seconds, harmful=bool(silences))

    def _is_another_config(self, result: WaitResult) -> bool:
        """Whether no replica of the first ring has even seen the version: that says nothing about the version."""
        if not self.replicas.is_first_ring or result.overtaken or result.ready or not result.pending:
            return False
        version = self.probes.labels.version
        return all(state.seen is not None and version not in state.seen for state in result.pending)

    def _conclude(self, result: WaitResult, reports: dict[str, ReplicaReport]) -> Verdict:
        unasked = self.unasked(result.ready, reports)
        if result.complete and not unasked:
            return self.verdict(reports[address] for address in result.ready)
        if result.complete:
            reasons = tuple(f"{each}: it has loaded the version, and was not asked for answers" for each in unasked)
            return Verdict(decision=Decision.UNKNOWN, reasons=reasons)
        return result.verdict()

    def _ask_one(self, replica: Replica, *, questions: Questions, end: CanaryEnd | None) -> ReplicaReport:
        address = replica.address
        if end and end.has_come():
            return ReplicaReport(
                address, questions.version, problem="was not asked, because the canary had ended", unreachable=True
            )
        process = processes(self.replicas.fleet).get(address)
        report = replace(question(replica, questions), process=process)
        if end and report.lost:
            end.crashes.lost(address, seconds=report.silent_seconds)
        elif end and report.unreachable:
            end.crashes.silent(address, seconds=report.silent_seconds)
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


def by_address(reports: Iterable[ReplicaReport]) -> dict[str, ReplicaReport]:
    """The reports by address."""
    return {report.address: report for report in reports}
