"""Notice whether a candidate ends the servers that load it: a process that answered before, and has ended since.

A candidate that takes too much memory kills every server that loads it, and again at each restart. That is evidence
against it. A replica that is slow or cannot be reached is no evidence. Nor is an address that is not listed any more:
its replica was removed on purpose.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from threading import Lock

# A single end may have another cause, such as the machine.
_ENOUGH = 2
_TIMES = {1: "once", 2: "twice"}


class CrashDetector:
    """Counts the processes that end while a candidate is exposed. Notify it of every look at a replica.

    Several threads may use one detector.

    Attributes:
        known: of each replica that answered right before the exposure, the versions it had seen since its start. A
            server keeps that list as long as its process lives, unloaded versions included. Only the ends of these
            processes are counted.
    """

    def __init__(self, known: Mapping[str, Collection[int]]) -> None:
        self.known = known
        self._seen = {address: frozenset(versions) for address, versions in known.items()}
        self._answering = set(known)
        self._ends: Counter[str] = Counter()
        self._lock = Lock()

    def answered(self, address: str, versions: Collection[int]) -> None:
        """Note the versions that a replica has seen. One that has forgotten a version is a new process."""
        with self._lock:
            self._answering.add(address)
            if address not in self.known:
                return
            before, self._seen[address] = self._seen.get(address, frozenset()), frozenset(versions)
            if not before <= self._seen[address]:
                self._ends[address] += 1

    def lost(self, address: str) -> None:
        """Note that no process listens at a replica's address any more, or that its connection broke."""
        with self._lock:
            self._answering.discard(address)
            if self._seen.pop(address, None) is not None:
                self._ends[address] += 1

    def silent(self, address: str) -> None:
        """Note that a replica gives no answer, without a sign that its process has ended."""
        with self._lock:
            self._answering.discard(address)

    def reasons(self, listed: Collection[str]) -> tuple[str, ...]:
        """Why the candidate must be withdrawn now, a line for each replica; empty if there is no reason.

        There is one when a second process has ended, or the first while no replica answers. Only the addresses in
        `listed` count.
        """
        with self._lock:
            ends = {address: self._ends[address] for address in listed if self._ends[address]}
            enough = _ENOUGH if self._answering.intersection(listed) else 1
        if sum(ends.values()) < enough:
            return ()
        return tuple(
            f"{address}: its server process has stopped {_TIMES.get(count, f'{count} times')} since servers began to "
            f"load the candidate. A likely cause is too little memory; read the log of the server"
            for address, count in ends.items()
        )
