"""Whether a candidate ends the servers that load it: a process that answered before, and has ended since.

One that takes too much memory kills every server it is exposed to, and again at each of their starts. That is evidence
against it, and not the silence of a replica that was slow or away. An address that is not listed any more proves
nothing: its replica was taken down on purpose.
"""

from collections import Counter
from collections.abc import Collection, Mapping

# One may be the machine's fault.
_ENOUGH = 2


class Witness:
    """Counts the processes that end while a candidate is exposed. Tell it of every look at a replica.

    Args:
        known: of each replica that answered before the exposure, the versions it had seen since its start. A server
            keeps that list for as long as its process lives.
    """

    def __init__(self, known: Mapping[str, Collection[int]]) -> None:
        self.known = known
        self._up = {address: frozenset(versions) for address, versions in known.items()}
        self._ends: Counter[str] = Counter()

    def answered(self, address: str, versions: Collection[int]) -> None:
        """A replica has said which versions it has seen; one that has forgotten some is a new process."""
        if address not in self.known:
            return
        before, self._up[address] = self._up.get(address, frozenset()), frozenset(versions)
        if not before <= self._up[address]:
            self._ends[address] += 1

    def lost(self, address: str) -> None:
        """A replica has no connection any more; that it took too long to answer is no such thing."""
        if self._up.pop(address, None) is not None:
            self._ends[address] += 1

    def reasons(self, listed: Collection[str]) -> tuple[str, ...]:
        """Why the candidate must go now, a line for each replica; empty while there is no such reason.

        It must at the second end in the fleet, or at the first one where no replica answers any more.
        """
        ends = {address: self._ends[address] for address in listed if self._ends[address]}
        nobody_answers = not self._up.keys() & set(listed)
        if sum(ends.values()) < (1 if nobody_answers else _ENOUGH):
            return ()
        return tuple(
            f"{address}: its server answered before the exposure, and has ended {count} times since"
            for address, count in ends.items()
        )
