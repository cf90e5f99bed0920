"""Notice whether a candidate ends the servers that load it, or makes them silent.

A candidate that takes too much memory kills every server that loads it, and again at each restart. So a process that
answered before and has ended since is evidence against it. A replica that answered before and gives no answer is no
evidence, because its machine or the network may be the reason. But its users have no answer either, so the canary does
not wait long for it. An address that is not listed any more counts for nothing: its replica was removed on purpose.

Where the pods of replicas are known (`kubernetes://`), a restart count that has risen counts too, also if the server
was back before anyone asked it. Another pod at an address counts for nothing, just as an address that is not listed any
more: a pod whose server ends keeps its UID. It is replaced by an autoscaler, a drained node, a new template, or an
eviction, and an eviction does not say which pod has used the memory of the node.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from math import ceil
from threading import Lock

from pipeline.rollout.pod_changes import PodChanges
from serving.fleet.pod import PodReplica

# Outside the first ring: a single end may have another cause, such as the machine; and of a large fleet, some servers
# end within the time that a canary takes whatever it does.
_ENOUGH = 2
_ENOUGH_SHARE = 0.01
_TIMES = {1: "once", 2: "twice"}


class CrashDetector:
    """Counts the processes that end while a candidate is exposed. Notify it of every look at a replica.

    Several threads may use one detector.

    Attributes:
        known: of each replica that answered right before the exposure, the versions it had seen since its start. A
            server keeps that list as long as its process lives, unloaded versions included. Only these processes are
            watched.
    """

    def __init__(
        self,
        known: Mapping[str, Collection[int]],
        *,
        silent: Collection[str] = (),
        first_ring: Collection[str] = (),
        silent_seconds: float,
        now: Callable[[], float],
        pods: Callable[[], Mapping[str, PodReplica]] = dict,
    ) -> None:
        """Nothing has ended yet.

        Args:
            known: see above.
            silent: other replicas that give no answer although they should be watched; they have been silent from now
                on.
            first_ring: the replicas of which one end is a reason against the candidate.
            silent_seconds: how long a watched replica may give no answer.
            now: a clock, in seconds.
            pods: what is known of the pods of replicas, by address, as it is now; asked at once, and often after that.
        """
        self.known = known
        self._first_ring = frozenset(first_ring)
        self._silent_seconds = silent_seconds
        self._now = now
        self._pods = pods
        self._pods_before = {address: pod for address, pod in pods().items() if address in known}
        self._seen = {address: frozenset(versions) for address, versions in known.items()}
        self._silent_since = dict.fromkeys(silent, now())
        self._answering = set(known)
        self._ends: Counter[str] = Counter()
        self._lock = Lock()

    def answered(self, address: str, versions: Collection[int]) -> None:
        """Note the versions that a replica has seen. One that has forgotten a version is a new process."""
        with self._lock:
            self._answering.add(address)
            self._silent_since.pop(address, None)
            if address not in self.known:
                return
            before, self._seen[address] = self._seen.get(address, frozenset()), frozenset(versions)
            if not before <= self._seen[address]:
                self._ends[address] += 1

    def lost(self, address: str, *, seconds: float = 0.0) -> None:
        """Note that no process listens at a replica's address any more, or that its connection broke.

        Args:
            address: the replica.
            seconds: how long the call took that found it.
        """
        with self._lock:
            self._note_silence(address, seconds)
            if self._seen.pop(address, None) is not None:
                self._ends[address] += 1

    def silent(self, address: str, *, seconds: float = 0.0) -> None:
        """The same without a sign that its process has ended: it gives no answer."""
        with self._lock:
            self._note_silence(address, seconds)

    def _note_silence(self, address: str, seconds: float) -> None:
        self._answering.discard(address)
        if address in self.known:
            # A call that waits for its time limit is a part of the silence.
            self._silent_since.setdefault(address, self._now() - seconds)

    def ends(self, listed: Collection[str]) -> int:
        """How many processes have ended at these addresses, as far as the same pod is still there.

        One that answered before and gives no answer now counts too: its end may not have been noticed yet.
        """
        changes = self._changes
        watched = self._watched(listed, changes)
        with self._lock:
            ends = self._ends_of(watched, changes)
            return sum(max(ends[address], address in self._silent_since) for address in watched)

    def reasons(self, listed: Collection[str]) -> tuple[str, ...]:
        """Why the candidate must be taken back now, a line for each replica; empty if there is no reason.

        There is one when a process of the first ring has ended, when the first one has ended while no replica answers
        or is the only one, when a second one has, and in a large fleet when a hundredth of all have. Only the addresses
        in `listed` count.
        """
        changes = self._changes
        watched = self._watched(listed, changes)
        with self._lock:
            ends = {address: count for address, count in self._ends_of(watched, changes).items() if count}
            nobody_answers = not self._answering.intersection(listed)
        enough = max(_ENOUGH, ceil(_ENOUGH_SHARE * len(listed)))
        # The only replica of a fleet may answer again: no other one shows whether its machine was the reason.
        all_have_ended = all(address in ends for address in listed)
        if self._first_ring.intersection(ends) or nobody_answers or all_have_ended:
            enough = 1
        if sum(ends.values()) < enough:
            return ()
        return tuple(_reason(address, count, changes) for address, count in ends.items())

    def silences(self, listed: Collection[str]) -> tuple[str, ...]:
        """Which replicas have given no answer for too long, a line for each; empty if there are none, or too few.

        One is enough, and in a large fleet a hundredth of all, unless it is in the first ring.
        """
        now, watched = self._now(), self._watched(listed, self._changes)
        with self._lock:
            silent = {each: now - self._silent_since[each] for each in watched if each in self._silent_since}
        long = {address: seconds for address, seconds in silent.items() if seconds >= self._silent_seconds}
        if not self._first_ring.intersection(long) and len(long) < _ENOUGH_SHARE * len(listed):
            return ()
        return tuple(
            f"{address}: no answer for {seconds:.1f} s while the candidate is exposed to it"
            for address, seconds in long.items()
        )

    def is_over(self, listed: Collection[str]) -> bool:
        """Whether to stop waiting: there is a reason against the candidate, or a silence."""
        return bool(self.reasons(listed) or self.silences(listed))

    @property
    def _changes(self) -> PodChanges:
        return PodChanges(self._pods_before, self._pods())

    def _watched(self, listed: Collection[str], changes: PodChanges) -> list[str]:
        return [address for address in listed if not changes.is_replaced(address)]

    def _ends_of(self, watched: Collection[str], changes: PodChanges) -> dict[str, int]:
        """How many processes have ended at each address, at least.

        An end may be noticed by a look, by the restart count, or by both, and the count rises only when the next
        process starts. So the larger number is what is certain.
        """
        return {address: max(self._ends[address], changes.restarts(address)) for address in watched}


def _reason(address: str, ends: int, changes: PodChanges) -> str:
    times = _TIMES.get(ends, f"{ends} times")
    return (
        f"{address}{changes.described(address)}: its server process has stopped {times} since servers began to load "
        f"the candidate. A likely cause is too little memory; {changes.advice(address)}"
    )
