"""The latest roll-out: exposing a version gives it the traffic, and a server has one version in memory."""

import logging
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from pipeline.errors import BadInputError, CouldNotTellError, DamagedError, DeclinedError, FailedError, MissingError
from pipeline.journal.history import History, Rule
from pipeline.journal.journal import JournalWriter
from pipeline.journal.manifests import Manifests
from pipeline.rollout.canary_end import is_over
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.questioning import Judged, Questioning, by_address
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.rings import ExposeEverywhere, Rings
from pipeline.rollout.rollout import Rollout
from pipeline.rollout.wait_result import WaitResult, overtaken
from pipeline.rollout.waits import Waits
from pipeline.rules import rollback as rollback_rules
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import RollbackRequest
from pipeline.runs.records import BaselineRecord
from pipeline.runs.run_records import RunRecords
from pipeline.verdicts.canary import label_failures
from pipeline.verdicts.verdict import conclude
from serving.questions import ReplicaReport

log = logging.getLogger(__name__)


class Latest:
    """The strategy for servers that take the highest version. For its methods see `pipeline.rollout.strategy.Strategy`.

    The serving version is questioned before the candidate replaces it; that is the baseline. Each replica is questioned
    as soon as it has loaded the candidate, and the first bad answer ends the questions.
    """

    def __init__(
        self,
        *,
        rollout: Rollout,
        replicas: Replicas,
        wait: Waits,
        journal: JournalWriter,
        manifests: Manifests,
        rings: Rings,
    ) -> None:
        self._rings = rings
        self._rollout = rollout
        self._replicas = replicas
        self._wait = wait
        self._journal = journal
        self._manifests = manifests

    def prove(
        self, questioning: Questioning, *, expose: Rule, expose_everywhere: ExposeEverywhere, records: RunRecords
    ) -> Judged:
        version, serving = questioning.probes.labels.version, questioning.probes.labels.serving
        history = self._journal.read()
        expose(history)  # a run that declines needs no baseline
        if serving is not None and history.state.candidate != version:
            self._require_way_back(serving)
        baseline = self._baseline(questioning, serving, records) if serving is not None else None
        return self._rings.prove(
            questioning,
            expose=expose,
            expose_everywhere=expose_everywhere,
            judge=partial(self._judge, baseline=baseline),
        )

    def _require_way_back(self, serving: int) -> None:
        """Refuse to expose a candidate when the serving version could not be restored.

        Raises:
            CouldNotTellError: the files of the serving version are missing, or are not what was approved.
        """
        try:
            self._manifests.verify_checksums(serving, self._journal.read())
        except (DamagedError, MissingError) as error:
            raise CouldNotTellError(
                f"v{serving} serves, and its files are damaged, so it could not be restored after a bad candidate. The "
                f"candidate was not loaded. Restore the files: {error}"
            ) from error

    def _baseline(self, questioning: Questioning, serving: int, records: RunRecords) -> BaselineRecord:
        """Question the serving version before the candidate replaces it; once for a run, and then the recorded answer.

        Raises:
            CouldNotTellError: not every replica answers from it.
            DeclinedError: another command changed this model meanwhile.
            FailedError: it answers with a label at another index than the candidate's list says.
        """
        kept = records.find(BaselineRecord)
        if kept is not None:
            return kept
        result = self._wait.followed(serving)
        if result.overtaken:
            raise DeclinedError(overtaken(self._journal.read().state))
        if not result.complete:
            records.note_attempt("canary", result.verdict())
            raise CouldNotTellError(
                f"not every replica answers from v{serving}, so there is nothing to compare with. The candidate was "
                f"not loaded, and v{serving} still serves: {result}"
            )
        reports = questioning.ask(result.ready, version=serving)
        _require_answers(reports, serving)
        failures = label_failures(reports)
        if failures:
            verdict = conclude(failures)
            records.note_attempt("canary", verdict)
            raise FailedError(f"the candidate was not loaded, and v{serving} still serves: {verdict}")
        comparable = bool(questioning.probes.comparable)
        return records.finish(
            BaselineRecord(
                version=serving,
                fresh_right=max(report.fresh_right for report in reports) if comparable else None,
                latency_ms=statistics.median(report.latency_ms for report in reports),
            )
        )

    def _judge(
        self,
        questioning: Questioning,
        crashes: CrashDetector,
        reports: dict[str, ReplicaReport],
        *,
        baseline: BaselineRecord | None,
    ) -> Judged:
        """Question each replica as soon as it has loaded the version.

        Users see the version, so the first bad answer ends the questions.
        """
        clock, version, replicas = self._wait.clock, questioning.probes.labels.version, questioning.replicas
        start = clock.monotonic()
        asking = load_seconds = 0.0
        while True:
            result = self._wait.loaded(version, beyond=reports.keys(), crashes=crashes, replicas=replicas)
            late = questioning.unasked(result.ready, reports)
            if not late or any(state.failed for state in result.pending):
                break
            if is_over(replicas, crashes):
                break
            began = clock.monotonic()
            load_seconds = began - start - asking
            asked = questioning.ask(late, version=version, crashes=crashes)
            asking += clock.monotonic() - began
            reports |= by_address(_compared(report, baseline) for report in asked)
            if questioning.failure(reports.values()):
                break
        return questioning.conclude(result, reports, crashes=crashes, load_seconds=load_seconds)

    def require_own_fleet(self) -> None:
        """Do nothing: no config is ever sent to a server, so none can be harmed."""

    def targets(self, history: History, request: RollbackRequest) -> Iterator[int]:
        return rollback_rules.targets_of(history, request, dark=False)

    def go_back(self, request: RollbackRequest, target: int) -> None:
        step = partial(rollback_rules.next_step, request=request, target=target, loaded=False, dark=False)
        while True:
            history = self._journal.decide(step)
            self._rollout.settle()
            if history.is_same_model(history.state.serving, target):
                return

    def forecast(self, target: int, *, load_seconds: float) -> str:
        state, ring = self._journal.read().state, self._replicas.first_ring
        if ring is not None and state.first_ring_only and target == state.serving:
            return (
                f"the first ring ({', '.join(ring.known_addresses())}) finds it within one poll and loads it: about "
                f"{load_seconds:.0f} s. All other replicas answer from it already"
            )
        return f"every replica finds it within one poll and loads it: about {load_seconds:.0f} s"

    def follow(self, version: int) -> tuple[int, WaitResult]:
        result = self._wait.followed(version, best_effort=True)
        new = self.renumber(version, result)
        return (new, self._wait.followed(new, best_effort=True)) if new is not None else (version, result)

    def renumber(self, version: int, result: WaitResult) -> int | None:
        """Give the model a higher number, which every server loads, also one that has failed to load the old number."""
        stuck = [state for state in result.pending if not state.silent]
        if result.overtaken or not stuck:
            return None
        problem = "; ".join(f"{state.address}: {state.message}" for state in stuck)
        reason = (
            f"these replicas did not load v{version}: {problem}. So the same model gets a new number, which every "
            f"server loads"
        )
        history = self._journal.decide(partial(run_rules.reissue, version=version, reason=reason))
        self._rollout.settle()
        new = history.state.serving
        if new is None or new == version or not history.is_same_model(new, version):
            return None
        log.warning(
            "v%d gets the new number v%d (same model), because these replicas did not load it: %s",
            version,
            new,
            problem,
        )
        return new

    def move_without_bucket(self, to: str) -> NoReturn:  # noqa: ARG002
        raise BadInputError(
            "servers of the roll-out 'latest' have one version in memory, so without the bucket they cannot go back. "
            "Leave --without-bucket out"
        )


def _require_answers(reports: Sequence[ReplicaReport], serving: int) -> None:
    problems = [f"{report.address}: {report.problem}" for report in reports if report.problem]
    if problems:
        raise CouldNotTellError(
            f"v{serving} could not be measured, so there is nothing to compare with. The candidate was not loaded, "
            f"and v{serving} still serves: {'; '.join(problems)}"
        )


def _compared(report: ReplicaReport, baseline: BaselineRecord | None) -> ReplicaReport:
    if baseline is None:
        return report
    return replace(report, fresh_right_serving=baseline.fresh_right, latency_ms_serving=baseline.latency_ms)
