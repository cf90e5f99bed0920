"""Whether a candidate ends the servers that load it: a process that answered before, and has ended since.

One that takes too much memory kills every server it is exposed to, and again at each of their starts. That is evidence
against it; a replica that is slow, or that cannot be reached, is none. Nor is an address that is not listed any more:
its replica was taken down on purpose.
"""

from collections import Counter
from collections.abc import Collection, Mapping

# One may be the machine's fault.
_ENOUGH = 2
_TIMES = {1: "once", 2: "twice"}


class Witness:
    """Counts the processes that end while a candidate is exposed. Tell it of every look at a replica.

    Attributes:
        known: of each replica that answered right before the exposure, the versions it had seen since its start. A
            server keeps that list for as long as its process lives, unloaded versions included. Only the ends of these
            are counted.
    """

    def __init__(self, known: Mapping[str, Collection[int]]) -> None:
        self.known = known
        self._seen = {address: frozenset(versions) for address, versions in known.items()}
        self._answering = set(known)
        self._ends: Counter[str] = Counter()

    def answered(self, address: str, versions: Collection[int]) -> None:
        """A replica has said which versions it has seen; one that has forgotten some is a new process."""
        self._answering.add(address)
        if address not in self.known:
            return
        before, self._seen[address] = self._seen.get(address, frozenset()), frozenset(versions)
        if not before <= self._seen[address]:
            self._ends[address] += 1

    def lost(self, address: str) -> None:
        """Nobody listens at a replica's address any more, or its connection broke."""
        self._answering.discard(address)
        if self._seen.pop(address, None) is not None:
            self._ends[address] += 1

    def silent(self, address: str) -> None:
        """A replica gives no answer, and nothing says that its process has ended."""
        self._answering.discard(address)

    def reasons(self, listed: Collection[str]) -> tuple[str, ...]:
        """Why the candidate must go now, a line for each replica; empty while there is no such reason.

        It must when a second process has ended, or the first while no replica answers.
        """
        ends = {address: self._ends[address] for address in listed if self._ends[address]}
        if sum(ends.values()) < (_ENOUGH if self._answering & set(listed) else 1):
            return ()
        return tuple(
            f"{address}: its server has ended {_TIMES.get(count, f'{count} times')} since the version was exposed "
            f"(did it run out of memory?)"
            for address, count in ends.items()
        )
