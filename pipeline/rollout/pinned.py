"""The pinned roll-out: a version is loaded and proven before any user reaches it, and `previous` stays in memory."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

from pipeline.deployment import Deployment
from pipeline.errors import CouldNotTellError, DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.journal.history import History, Rule
from pipeline.journal.journal import JournalWriter
from pipeline.journal.observers import Observers
from pipeline.journal.state import resident
from pipeline.rollout.canary_end import is_over
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.questioning import Judged, Questioning, by_address
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.rings import ExposeEverywhere, Rings
from pipeline.rollout.rollout import Rollout
from pipeline.rollout.wait_result import WaitResult, overtaken
from pipeline.rollout.waits import Waits
from pipeline.rollout.without_bucket import move_label
from pipeline.rules import rollback as rollback_rules
from pipeline.rules.rollback import RollbackRequest
from pipeline.runs.run_records import RunRecords
from pipeline.verdicts.verdict import Decision, Verdict
from serving.questions import ReplicaReport

log = logging.getLogger(__name__)


class Pinned:
    """The strategy for servers that poll a config. For its methods see `pipeline.rollout.strategy.Strategy`."""

    def __init__(
        self,
        *,
        rollout: Rollout,
        replicas: Replicas,
        wait: Waits,
        journal: JournalWriter,
        observers: Observers,
        rings: Rings,
        fleet: Deployment,
    ) -> None:
        self._rings = rings
        self._rollout = rollout
        self._replicas = replicas
        self._wait = wait
        self._journal = journal
        self._observers = observers
        self._fleet = fleet

    def prove(
        self,
        questioning: Questioning,
        *,
        expose: Rule,
        expose_everywhere: ExposeEverywhere,
        records: RunRecords,  # noqa: ARG002
    ) -> Judged:
        return self._rings.prove(questioning, expose=expose, expose_everywhere=expose_everywhere, judge=self._judge)

    def _judge(self, questioning: Questioning, crashes: CrashDetector, reports: dict[str, ReplicaReport]) -> Judged:
        """Question every replica once all have loaded the version, beside the serving one.

        Replicas that are added meanwhile are questioned too. All of them must still have it loaded at the end.
        """
        replicas = questioning.replicas
        version, serving = questioning.probes.labels.version, questioning.probes.labels.serving
        start = self._wait.clock.monotonic()
        result = self._wait.loaded(version, crashes=crashes, replicas=replicas)
        load_seconds = self._wait.clock.monotonic() - start
        if result.complete:
            # Questions take long; observers need not wait for the verdict.
            self._observers.notify(self._journal.read())
        while result.complete:
            late = questioning.unasked(result.ready, reports)
            if not late:
                break
            other = self._wait.loaded(serving, crashes=crashes, replicas=replicas) if serving is not None else None
            if is_over(replicas, crashes):
                break
            if other and not other.complete:
                reason = f"v{serving}, which it is compared with, is not loaded on every replica: {other}"
                return Judged(Verdict(decision=Decision.UNKNOWN, reasons=(reason,)), load_seconds)
            reports |= by_address(questioning.ask(late, version=version, beside=serving, crashes=crashes))
            if questioning.failure(reports.values()):
                # Asked again, a server that was started again or replaced would answer in its place.
                break
            result = self._wait.loaded(version, crashes=crashes, replicas=replicas)
        return questioning.conclude(result, reports, crashes=crashes, load_seconds=load_seconds)

    def require_own_fleet(self) -> None:
        try:
            self._replicas.require_own_fleet(any_is_enough=True)
        except CouldNotTellError as error:
            # A roll-back does not wait for discovery: replicas find what it writes by themselves.
            log.warning("whether the replicas belong to this fleet is unknown: %s", error)

    def targets(self, history: History, request: RollbackRequest) -> Iterator[int]:
        return rollback_rules.targets_of(history, request)

    def go_back(self, request: RollbackRequest, target: int) -> None:
        """Load the target if no replica has it in memory, then move the label.

        If no replica answers, the label moves all the same: replicas that start again then serve the target.
        """
        nobody_answers = False
        while True:
            loaded = self._replicas.is_loaded_somewhere(target)
            step = partial(
                rollback_rules.next_step,
                request=request,
                target=target,
                loaded=bool(loaded) or nobody_answers,
                taking_over=self._is_left_behind(request, target),
            )
            history = self._journal.decide(step)
            self._rollout.settle()
            if history.is_same_model(history.state.serving, target):
                return
            if history.state.candidate == target and not loaded:
                nobody_answers = not self._load(target)
            elif loaded is None:
                nobody_answers = not self._wait.loaded(target, best_effort=True).ready

    def _is_left_behind(self, request: RollbackRequest, target: int) -> bool:
        """Whether another roll-back exposed the target so long ago that it cannot be waiting for it any more."""
        history = self._journal.read()
        exposed = history.of_version(target, Event.EXPOSED) if history.state.candidate == target else None
        if exposed is None or exposed.run_key == request.run_key:
            return False
        return (self._wait.clock.now() - exposed.at).total_seconds() > self._fleet.load_seconds

    def _load(self, target: int) -> bool:
        """Wait until a replica has loaded the target; False if no replica answers: they load it when they start again.

        Raises:
            DeclinedError: another command changed this model meanwhile.
            FailedError: replicas answer, and none can load it. The target is released.
        """
        result = self._wait.loaded(target, best_effort=True)
        if result.overtaken:
            raise DeclinedError(overtaken(self._journal.read().state))
        if result.ready:
            return True  # the others are repaired, or named, when the label has moved
        if all(state.silent for state in result.pending):
            return False
        problem = f"no replica could load v{target}: {result}"
        self._journal.decide(lambda history: rollback_rules.give_up(history, target=target, reason=problem))
        serving = self._rollout.settle().state.serving
        raise FailedError(f"{problem}. {f'v{serving}' if serving is not None else 'nothing'} still serves")

    def forecast(self, target: int, *, load_seconds: float) -> str:
        poll = self._fleet.config_poll_seconds
        try:
            self._replicas.addresses()
        except CouldNotTellError as error:
            return f"which replicas exist is unknown ({error}). Each one serves v{target} when it has read its config"
        loaded = self._replicas.is_loaded_somewhere(target)
        if loaded is None:
            return f"no replica answers now. Each one serves v{target} when it runs again"
        loading = f"about {load_seconds:.0f} s"
        if loaded:
            quick = f"v{target} is in memory. The replicas use it within one poll of their config, {poll:g} s"
            return f"{quick}{self._without_the_target(target, loading=loading)}"
        return f"v{target} is not in memory and must be loaded first: {loading}, then one poll, {poll:g} s"

    def _without_the_target(self, target: int, *, loading: str) -> str:
        """A sentence to append on the first ring, if it has a candidate in the place of the target; otherwise empty."""
        state, ring = self._journal.read().state, self._replicas.first_ring
        if ring is None or not state.first_ring_only or target in resident(state, first_ring=True):
            return ""
        replicas = ", ".join(ring.known_addresses())
        return (
            f". The first ring ({replicas}) has v{state.candidate}, a candidate, in its place: it loads v{target} "
            f"first, {loading}, and answers from v{state.serving} meanwhile"
        )

    def follow(self, version: int) -> tuple[int, WaitResult]:
        return version, self._wait.followed(version, best_effort=True)

    def renumber(self, version: int, result: WaitResult) -> int | None:  # noqa: ARG002
        """Do nothing: a replica that is stuck was repaired during the wait."""
        return None

    def move_without_bucket(self, to: str) -> NoReturn:
        move_label(
            self._replicas,
            to,
            base_path=self._rollout.placement.base_path,
            fleet=self._fleet,
            clock=self._wait.clock,
        )
