"""Prove a candidate in the first ring, observe it there, and only then expose it to the other replicas."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from pipeline.deployment import Deployment
from pipeline.errors import CouldNotTellError
from pipeline.journal.entries import Change
from pipeline.journal.history import History, Rule
from pipeline.journal.journal import JournalWriter
from pipeline.rollout.canary_end import is_over
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

        Raises:
            CouldNotTellError: the candidate is in the first ring alone, and none of its replicas is listed.
        """
        version, ring = questioning.probes.labels.version, self._replicas.first_ring
        again = self._journal.read().state.candidate == version
        crashes = (ring or self._replicas).watch_for_crashes(exposed=again)
        only = self._journal.decide(expose).state.first_ring_only
        self._rollout.settle()
        reports: dict[str, ReplicaReport] = {}
        in_ring: Judged | None = None
        if ring is not None and only:
            in_ring = self._prove_in_ring(questioning.within(ring), crashes, reports, judge)
            if in_ring.verdict.decision is not Decision.PASS:
                return in_ring
        if ring is not None or only:
            before, crashes = crashes, self._replicas.watch_for_crashes(exposed=again and not only)
            if in_ring is not None and ring is not None:
                changed = self._changed(questioning.within(ring), in_ring, before, crashes, reports)
                if changed is not None:
                    return changed
            self._journal.decide(partial(expose_everywhere, verdict=in_ring.verdict if in_ring else None))
            self._rollout.settle()
        judged = judge(questioning, crashes, reports)
        return replace(judged, load_seconds=max(judged.load_seconds, in_ring.load_seconds if in_ring else 0.0))

    def _prove_in_ring(
        self, inside: Questioning, crashes: CrashDetector, reports: dict[str, ReplicaReport], judge: Judge
    ) -> Judged:
        version, addresses = inside.probes.labels.version, inside.replicas.known_addresses()
        if not addresses:
            raise CouldNotTellError(
                f"v{version} is exposed to the first ring alone, and no replica of it is listed, so nothing is known "
                f"about the candidate. Check UNDERSTUDY_REPLICAS and `understudy fleet show --model {inside.model}`"
            )
        log.info("the first ring loads v%d: %s", version, ", ".join(addresses))
        judged = judge(inside, crashes, reports)
        if judged.verdict.decision is Decision.PASS:
            judged = self._too_early(inside, judged) or judged
        if judged.verdict.decision is Decision.PASS:
            judged = self._observed(inside, judged, crashes, reports, judge)
        return judged

    def _too_early(self, inside: Questioning, judged: Judged) -> Judged | None:
        """The result if another replica has the candidate already, because it polls what the first ring should."""
        version, ring = inside.probes.labels.version, inside.replicas.known_addresses()
        others = [address for address in self._replicas.known_addresses() if address not in ring]
        early = [
            found.address
            for found in self._replicas.look(others)
            if any(each.version == version and not each.ended for each in found.versions)
        ]
        if not early:
            return None
        reasons = tuple(
            f"{address}: it has v{version}, and is not in the first ring. Start its server with the flag that "
            f"`understudy fleet show --model {inside.model}` shows"
            for address in early
        )
        return _could_not_tell(judged, reasons)

    def _changed(
        self,
        inside: Questioning,
        judged: Judged,
        before: CrashDetector,
        after: CrashDetector,
        reports: dict[str, ReplicaReport],
    ) -> Judged | None:
        """The result if the first ring is not as it was, right before the others would load the candidate.

        Args:
            inside: asks the first ring.
            judged: its result so far.
            before: has watched the first ring until now.
            after: will watch every replica; one that it does not know is not watched.
            reports: the answers of the first ring.
        """
        version, ring = inside.probes.labels.version, inside.replicas
        result = self._wait.loaded(version, crashes=before, replicas=ring)
        if not result.complete or is_over(ring, before):
            return inside.conclude(result, reports, crashes=before, load_seconds=judged.load_seconds)
        missed = [address for address in ring.known_addresses() if address not in after.known]
        if not missed:
            return None
        reasons = tuple(f"{address}: no answer right before the other replicas would load it" for address in missed)
        return _could_not_tell(judged, reasons)

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
            result = self._wait.loaded(version, crashes=crashes, replicas=ring)
            if not result.complete or is_over(ring, crashes):
                return inside.conclude(result, reports, crashes=crashes, load_seconds=judged.load_seconds)
            clock.sleep(min(left, _LOOK_SECONDS))
        if not self._fleet.soak_seconds:
            return judged
        reports.clear()
        return replace(judge(inside, crashes, reports), load_seconds=judged.load_seconds)


def _could_not_tell(judged: Judged, reasons: tuple[str, ...]) -> Judged:
    """UNKNOWN instead of the result so far. The candidate must leave at once, and is not to blame for it."""
    verdict = Verdict(decision=Decision.UNKNOWN, reasons=reasons)
    return replace(judged, verdict=verdict, harmful=True, forgivable=True)
