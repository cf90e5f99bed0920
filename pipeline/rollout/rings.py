"""Prove a candidate in the first ring, observe it there, and only then expose it to the other replicas."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from pipeline.deployment import Deployment
from pipeline.journal.entries import Change
from pipeline.journal.history import History, Rule
from pipeline.journal.journal import JournalWriter
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.questioning import Judged, Questioning
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.rollout import Rollout
from pipeline.rollout.waits import Waits
from pipeline.verdicts.verdict import Decision, Verdict
from serving.questions import ReplicaReport

log = logging.getLogger(__name__)

# Between two looks at the first ring while it is observed.
_LOOK_SECONDS = 1.0

# Waits for the replicas of the questioning, asks those that have no report yet, adds their reports, and judges.
Judge = Callable[[Questioning, CrashDetector, dict[str, ReplicaReport]], Judged]


class ExposeEverywhere(Protocol):
    """The rule that exposes the candidate to the replicas beyond the first ring; see `pipeline.rules.run`."""

    def __call__(self, history: History, *, verdict: Verdict | None) -> Change | None: ...


class Rings:
    """The way of a candidate through the fleet, which is the same in both roll-outs."""

    def __init__(
        self, *, rollout: Rollout, replicas: Replicas, wait: Waits, journal: JournalWriter, fleet: Deployment
    ) -> None:
        self._rollout = rollout
        self._replicas = replicas
        self._wait = wait
        self._journal = journal
        self._fleet = fleet

    def prove(
        self, questioning: Questioning, *, expose: Rule, expose_everywhere: ExposeEverywhere, judge: Judge
    ) -> Judged:
        """Expose the candidate to the first ring, if there is one, then to all replicas, and judge it in both.

        Only a PASS of the first ring leads further. A repeated run does not go back to the first ring.

        Args:
            questioning: asks every replica.
            expose: the rule that makes the version the candidate.
            expose_everywhere: see above.
            judge: see above.
        """
        ring = self._replicas.first_ring
        crashes = (ring or self._replicas).watch_for_crashes()
        only = self._journal.decide(expose).state.first_ring_only
        self._rollout.settle()
        reports: dict[str, ReplicaReport] = {}
        load_seconds, verdict = 0.0, None
        if ring is not None and only:
            inside = questioning.within(ring)
            log.info("the first ring loads v%d: %s", questioning.probes.labels.version, ", ".join(ring.addresses()))
            judged = judge(inside, crashes, reports)
            if judged.verdict.decision is Decision.PASS:
                judged = self._observed(inside, judged, crashes, reports, judge)
            if judged.verdict.decision is not Decision.PASS:
                return judged
            load_seconds, verdict = judged.load_seconds, judged.verdict
        if ring is not None or only:
            crashes = self._replicas.watch_for_crashes()
            self._journal.decide(partial(expose_everywhere, verdict=verdict))
            self._rollout.settle()
        judged = judge(questioning, crashes, reports)
        return replace(judged, load_seconds=max(judged.load_seconds, load_seconds))

    def _observed(
        self,
        inside: Questioning,
        judged: Judged,
        crashes: CrashDetector,
        reports: dict[str, ReplicaReport],
        judge: Judge,
    ) -> Judged:
        """Watch the first ring for a while, then ask it once more: some faults need time, or several requests."""
        ring, clock, version = inside.replicas, self._wait.clock, inside.probes.labels.version
        end = clock.monotonic() + self._fleet.soak_seconds
        if self._fleet.soak_seconds:
            log.info("v%d has passed in the first ring and is observed for %g s", version, self._fleet.soak_seconds)
        while (left := end - clock.monotonic()) > 0:
            result = self._wait.loaded(version, crashes=crashes, within=ring)
            if not result.complete or crashes.is_over(ring.known_addresses()):
                return inside.conclude(result, reports, crashes=crashes, load_seconds=judged.load_seconds)
            clock.sleep(min(left, _LOOK_SECONDS))
        if not self._fleet.soak_seconds:
            return judged
        reports.clear()
        return replace(judge(inside, crashes, reports), load_seconds=judged.load_seconds)
