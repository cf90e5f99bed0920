"""Wait until every replica of a fleet has loaded a version, answers from it, or has unloaded it."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace

from pipeline.clock import Clock
from pipeline.deployment import Deployment
from pipeline.errors import BadInputError
from pipeline.journal.journal import Journal
from pipeline.journal.observers import Observers
from pipeline.journal.state import State
from pipeline.rollout.canary_end import is_over
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.rollout import Rollout
from pipeline.rollout.wait_result import ReplicaState, WaitResult, described
from pipeline.rollout.waiting import Goal, wait_for
from serving.errors import UnreachableError
from serving.replica import Replica, VersionStatus

log = logging.getLogger(__name__)


class Waits:
    """Waits for the replicas of one model. Meanwhile it reads the journal and repairs replicas that are stuck.

    A wait ends when another decision makes it pointless; `WaitResult.overtaken` says so. When all replicas have
    followed, the observers of the journal are scheduled (`Observers.schedule`).
    """

    def __init__(
        self,
        *,
        model: str,
        rollout: Rollout,
        replicas: Replicas,
        journal: Journal,
        observers: Observers,
        clock: Clock,
        fleet: Deployment,
        rpc_seconds: float,
    ) -> None:
        self._model = model
        self._rollout = rollout
        self._placement = rollout.placement
        self._replicas = replicas
        self._journal = journal
        self._observers = observers
        self.clock = clock
        self._fleet = fleet
        self._rpc_seconds = rpc_seconds

    def loaded(
        self,
        version: int,
        *,
        best_effort: bool = False,
        beyond: Collection[str] | None = None,
        crashes: CrashDetector | None = None,
        replicas: Replicas | None = None,
    ) -> WaitResult:
        """Wait until every replica has loaded `version`. Returns early if a replica says that it cannot load it.

        Args:
            version: the version; the wait ends when the journal does not want it in memory any more.
            best_effort: do not wait for replicas that fail to load it or give no answer.
            beyond: return as soon as a replica that is not among these addresses has loaded it.
            crashes: notified of every look; the wait ends once it has a reason against the version, or a silence.
            replicas: the first ring, to wait for its replicas alone; None for all.

        Raises:
            BadInputError: a replica belongs to another fleet.
            StorageError: the bucket does not answer, or has no room for the version.
        """
        replicas = replicas or self._replicas

        def look(replica: Replica) -> ReplicaState:
            if crashes is None:
                return _loaded(replica, version, replica.status(self._model, version))
            seen = {status.version: status for status in replica.statuses(self._model)}
            return replace(_loaded(replica, version, seen.get(version)), seen=frozenset(seen))

        return self._wait(
            f"load v{version}",
            look,
            deadline=self._fleet.load_seconds,
            wanted=lambda state: version in self._placement.in_memory(state, first_ring=replicas.is_first_ring),
            best_effort=best_effort,
            enough=lambda ready: (
                (beyond is not None and not set(ready) <= set(beyond)) or bool(crashes and is_over(replicas, crashes))
            ),
            crashes=crashes,
            replicas=replicas,
        )

    def followed(self, version: int, *, best_effort: bool = False) -> WaitResult:
        """Wait until traffic gets `version` on every replica. `best_effort` and the errors are those of `loaded`."""
        fleet = self._fleet
        return self._wait(
            f"answer from v{version}",
            lambda replica: self._placement.followed(replica, version),
            deadline=self._placement.follow_seconds(follow=fleet.follow_seconds, load=fleet.load_seconds),
            wanted=lambda state: state.serving == version,
            best_effort=best_effort,
        )

    def gone(self, version: int) -> WaitResult:
        """Wait until no replica has `version` loaded. Replicas of another fleet count as pending."""
        ours: set[str] = set()

        def look(replica: Replica) -> ReplicaState:
            try:
                # A replica of another fleet never had the version: it must not count as one that has unloaded it.
                why = self._replicas.why_foreign(replica) if replica.address not in ours else None
                if why:
                    return ReplicaState(replica.address, ready=False, message=why, failed=True)
                ours.add(replica.address)
                status = replica.status(self._model, version)
            except UnreachableError:
                if not self._placement.may_not_listen(self._journal.known.state):
                    raise
                return ReplicaState(replica.address, ready=True, message="has nothing to serve")
            message = f"v{version} " + (status.state if status else "not there")
            return ReplicaState(replica.address, ready=status is None or status.ended, message=message)

        return self._wait(
            f"drop v{version}",
            look,
            deadline=self._fleet.follow_seconds,
            wanted=lambda state: all(
                version not in self._placement.in_memory(state, first_ring=ring) for ring in (True, False)
            ),
        )

    def _wait(
        self,
        action: str,
        look: Callable[[Replica], ReplicaState],
        *,
        deadline: float,
        wanted: Callable[[State], bool],
        best_effort: bool = False,
        enough: Callable[[Collection[str]], bool] | None = None,
        crashes: CrashDetector | None = None,
        replicas: Replicas | None = None,
    ) -> WaitResult:
        """Wait, and read the journal meanwhile: it says which version serves, and so how a replica is to be repaired.

        Replicas of another fleet are found before they are repaired.
        """
        now: list[State] = []
        healed: set[str] = set()
        found_foreign: dict[str, str] = {}

        def look_unless_foreign(replica: Replica) -> ReplicaState:
            why = found_foreign.get(replica.address)
            return ReplicaState(replica.address, ready=False, message=why, failed=True) if why else look(replica)

        def still_wanted() -> bool:
            now[:] = [self._rollout.settle().state]  # a slow writer may have left an older config
            still = wanted(now[0])
            if still and self._rollout.unplaced:
                raise self._rollout.unplaced
            return still

        def heal(replica: Replica) -> None:  # a message names its replica, and no replica is repaired twice at a time
            done = self._heal(replica, now[0], found_foreign, best_effort=best_effort)
            if done and done not in healed:
                healed.add(done)
                log.warning("%s", done)

        goal = Goal(
            action=action,
            look=look_unless_foreign,
            deadline=deadline,
            grace=self._fleet.polled_seconds,  # until then a replica is slow, not stuck
            wanted=still_wanted,
            heal=heal,
            enough=enough,
            best_effort=best_effort,
            patience=self._rpc_seconds,
            crashes=crashes,
        )
        result = wait_for(
            goal,
            fleet=(replicas or self._replicas).fleet,
            # A call that takes longer than a silence may last would hide it.
            rpc_seconds=min(self._rpc_seconds, self._fleet.silent_seconds) if crashes else self._rpc_seconds,
            clock=self.clock,
            workers=self._replicas.make_workers(),
        )
        if result.complete:
            self._observers.schedule()
        return result

    def _heal(self, replica: Replica, state: State, foreign: dict[str, str], *, best_effort: bool) -> str | None:
        """Repair a replica that cannot follow by itself; a sentence on what was done, or None.

        Nothing is sent to a replica of another fleet. In a best-effort wait it is added to `foreign`.

        Raises:
            BadInputError: the replica belongs to another fleet, or to another bucket.
        """
        self._require_ours(replica, state)
        if not self._placement.needs_config(replica, state, self._journal.known):
            return None
        why = self._replicas.why_foreign(replica)
        if why is None:
            return self._placement.heal(replica, state)
        if not best_effort:
            raise BadInputError(why)
        foreign[replica.address] = why
        return None

    def _require_ours(self, replica: Replica, state: State) -> None:
        """Refuse a server of another bucket, because repairing it would change what that server serves."""
        newest = max((each.version for each in replica.statuses(self._model) if each.available), default=0)
        if newest >= state.next_version and newest >= self._journal.read().state.next_version:
            raise BadInputError(
                f"{replica.address} serves {self._model} v{newest}, and the journal in {self._replicas.bucket} does "
                f"not contain that version, so this server uses another bucket. Nothing was changed on it. Correct "
                f"UNDERSTUDY_ROOT, or the fleet (`understudy fleet show --model {self._model}`)"
            )


def _loaded(replica: Replica, version: int, status: VersionStatus | None) -> ReplicaState:
    if status is None:
        return ReplicaState(replica.address, ready=False, message=f"v{version} not seen yet")
    return ReplicaState(
        replica.address, ready=status.available, message=described(version, status), failed=status.failed
    )
