"""Put questions to replicas about one version, and judge their answers.

The questions are an argument: the canary of a run asks those that `evaluate` recorded, and another check may bring its
own.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.rollout.replicas import Replicas
from pipeline.rollout.waiting import WaitResult
from pipeline.rollout.witness import Witness
from pipeline.spec import CanaryPolicy
from pipeline.verdicts.canary import judge
from pipeline.verdicts.labels import ApprovedLabels
from pipeline.verdicts.verdict import Decision, Verdict
from serving.canary import question
from serving.questions import Golden, Labelled, Questions, ReplicaReport

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probes:
    """What replicas are asked, and what their answers are held to.

    Attributes:
        golden: encoded images, and the answers that the approved model gave.
        fresh: encoded images with their true labels.
        labels: of the version in question, and of the one that serves.
        policy: tolerances and limits.
        min_accuracy: the share of fresh images, 0 to 1, that must be recognised where nothing serves to compare with.
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
    """What the canary has found.

    Attributes:
        verdict: over all replicas.
        load_seconds: until the slowest replica had loaded the version, polling included.
        deadly: servers have ended since the version was exposed, and every moment it stays may end more.
    """

    verdict: Verdict
    load_seconds: float
    deadly: bool = False


class Questioning:
    """The same probes for every replica of a fleet."""

    def __init__(self, model: str, probes: Probes, replicas: Replicas) -> None:
        self.probes = probes
        self._model = model
        self._replicas = replicas

    def ask(
        self,
        addresses: Sequence[str],
        *,
        version: int,
        beside: int | None = None,
        witness: Witness | None = None,
    ) -> list[ReplicaReport]:
        """Question replicas, several at once; a report for each.

        Where something serves, only those labelled images are asked whose label it can know; all of them if there are
        none.

        Args:
            addresses: whom to ask.
            version: about which version.
            beside: the serving version, where it is in memory beside that one, to compare with.
            witness: is told of connections that break; once it has a reason against the version nobody else is asked.
        """
        probes = self.probes
        known = probes.comparable
        questions = Questions(
            model=self._model,
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
        return self._replicas.in_parallel(partial(self._ask_one, questions=questions, witness=witness), addresses)

    def verdict(self, reports: Iterable[ReplicaReport]) -> Verdict:
        """What the reports say of the version in question."""
        return judge(
            list(reports),
            expected=self._replicas.expected,
            min_accuracy=self.probes.min_accuracy,
            policy=self.probes.policy,
        )

    def conclude(
        self, result: WaitResult, reports: dict[str, ReplicaReport], *, witness: Witness, load_seconds: float
    ) -> Judged:
        """What is known of the version where a wait has ended like this, and these replicas have been asked."""
        ends = witness.reasons(self._replicas.addresses())
        if ends:
            return Judged(Verdict(decision=Decision.FAIL, reasons=ends), load_seconds, deadly=True)
        return Judged(self._conclude(result, reports), load_seconds)

    def _conclude(self, result: WaitResult, reports: dict[str, ReplicaReport]) -> Verdict:
        if result.complete and reports.keys() >= set(result.ready):
            return self.verdict(reports[address] for address in result.ready)
        answered = self.verdict(reports.values())
        # A wrong answer stays one, wherever its replica has gone since.
        return answered if reports and answered.decision is Decision.FAIL else result.verdict()

    def _ask_one(self, address: str, *, questions: Questions, witness: Witness | None) -> ReplicaReport:
        if witness and witness.reasons(self._replicas.addresses()):
            return ReplicaReport(address, questions.version, problem="was not asked any more", unreachable=True)
        with self._replicas.connect(address) as replica:
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


def by_address(reports: Iterable[ReplicaReport]) -> dict[str, ReplicaReport]:
    """The reports by the addresses of their replicas."""
    return {report.address: report for report in reports}
