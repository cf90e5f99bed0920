"""Which replica gets the next request: all in turn, without those that failed. No input or output."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from serving.client.outliers import Outliers
from serving.errors import DiscoveryError

# How long an address rests after its first failure in a row; after each further one twice as long, up to the last.
FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 10.0


@dataclass(eq=False)
class _Member:
    """What is known of one address. Times are those of the clock, in seconds.

    Attributes:
        tried_at: when it was listed, or a request last failed on it or was sent to it although it had failed before.
        rests_until: when it may be probed, or tried, again.
        works: whether a probe or a request has succeeded since it was listed, and since its last failure.
        known: whether one has ever succeeded.
        failures: how many in a row, of requests and of probes.
        epoch: how many requests have failed. An outcome of a request that was picked earlier is no news.
    """

    tried_at: float
    rests_until: float
    works: bool = False
    known: bool = False
    failures: int = 0
    epoch: int = 0

    def rest(self, now: float) -> None:
        doublings = min(max(self.failures - 1, 0), 30)
        self.rests_until = now + min(FIRST_REST_SECONDS * 2**doublings, LONGEST_REST_SECONDS)


@dataclass(frozen=True)
class Pick:
    """An address that a request is sent to. Give it back with the outcome."""

    address: str
    member: _Member
    epoch: int


@dataclass(frozen=True)
class ReplicaState:
    """What a client knows of one replica.

    Attributes:
        address: `host:port`.
        usable: whether it gets its share of the requests.
        failures: how many requests and probes in a row have failed.
        rests_seconds: how long it rests; 0 if it does not.
    """

    address: str
    usable: bool
    failures: int
    rests_seconds: float


class Picker:
    """Picks addresses in turn. Safe to use from several threads.

    An address is used after a probe of it has succeeded. After a failure it rests, is probed again, and then gets a
    single request; if that succeeds, it gets its share again. One that fails far more often than the others rests too,
    see `Outliers`. If no address is usable, a request goes to the one that was not tried for the longest time.

    Args:
        first: where the rotation begins. Many clients that start at once should not begin at the same replica.
        now: a clock, in seconds.
    """

    def __init__(self, *, first: int = 0, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._members: dict[str, _Member] = {}
        self._outliers = Outliers()
        self._order: Sequence[str] = ()
        # Second attempts have a turn of their own. If they took one from the first attempts, of two replicas the one
        # whose queue is full would be the first choice of every request.
        self._next = {False: first, True: first}
        self._lock = threading.Lock()

    def update(self, addresses: Sequence[str]) -> None:
        """Replace the list. What is known of an address that stays in it is kept."""
        now = self._now()
        with self._lock:
            self._members = {each: self._members.get(each) or _Member(now, now) for each in addresses}
            self._order = tuple(self._members)
            self._outliers.update(addresses)

    def to_probe(self) -> list[str]:
        """The addresses that are to be probed now, before they are used."""
        now = self._now()
        with self._lock:
            return [each for each, member in self._members.items() if not member.works and member.rests_until <= now]

    def seconds_to_next_probe(self) -> float | None:
        """Until `to_probe` has an address; None if all work."""
        now = self._now()
        with self._lock:
            due = [member.rests_until for member in self._members.values() if not member.works]
        return max(0.0, min(due) - now) if due else None

    def probed(self, address: str, *, works: bool) -> None:
        """Report the outcome of a probe."""
        now = self._now()
        with self._lock:
            member = self._members.get(address)
            if member is None:
                return
            member.works = works
            member.known |= works
            if not works:
                member.failures += 1
                member.rest(now)

    def pick(self, *, other_than: Collection[str] = (), failed: bool = True) -> Pick | None:
        """The address for a request; None if the list has no other than these.

        Args:
            other_than: the addresses that were asked before.
            failed: whether one that has failed is better than none.

        Raises:
            DiscoveryError: there is no list yet.
        """
        now = self._now()
        with self._lock:
            if not self._order:
                raise DiscoveryError(
                    "which replicas exist is not known: the source of the fleet has not answered yet. "
                    "Give the request more time, or check the source"
                )
            address = self._in_turn(now, other_than) or self._longest_untried(now, other_than, failed=failed)
            if address is None:
                return None
            member = self._members[address]
            return Pick(address, member, member.epoch)

    def has_other(self, pick: Pick) -> bool:
        """Whether another replica is as likely to answer: it has not failed, or works again, or this one has failed."""
        now = self._now()
        with self._lock:
            return any(
                each != pick.address
                and (pick.member.failures or not member.failures or self._is_usable(each, member, now))
                for each, member in self._members.items()
            )

    def failed(self, pick: Pick) -> None:
        """The replica could not be reached, or did not answer in time. It rests."""
        now = self._now()
        with self._lock:
            member = pick.member
            # Of many requests that fail at once, the first one counts.
            if member.epoch == pick.epoch:
                member.epoch += 1
                member.failures += 1
                member.works = False
                member.tried_at = now
                member.rest(now)
                self._outliers.count(pick.address, now, good=False)

    def answered(self, pick: Pick, *, faulty: bool = False) -> None:
        """The replica gave an answer, or refused the request by itself, or failed on it (faulty)."""
        now = self._now()
        with self._lock:
            self._outliers.count(pick.address, now, good=not faulty)
            member = pick.member
            if member.epoch == pick.epoch and (member.failures or not member.works):
                member.failures = 0
                member.works = member.known = True
                member.rests_until = now

    def states(self) -> list[ReplicaState]:
        """What is known of each address, in the order of the list."""
        now = self._now()
        with self._lock:
            return [self._state(address, member, now) for address, member in self._members.items()]

    def _state(self, address: str, member: _Member, now: float) -> ReplicaState:
        rests = max(0.0, member.rests_until - now, self._outliers.seconds_out(address, now))
        return ReplicaState(address, usable=member.works and not rests, failures=member.failures, rests_seconds=rests)

    def _in_turn(self, now: float, other_than: Collection[str]) -> str | None:
        count = len(self._order)
        again = bool(other_than)
        for step in range(count):
            index = (self._next[again] + step) % count
            address = self._order[index]
            member = self._members[address]
            if self._is_usable(address, member, now) and address not in other_than:
                self._next[again] = index + 1
                if member.failures:
                    # One request tries it. Others follow when that one has been answered, or after another rest.
                    member.rest(now)
                    member.tried_at = now
                return address
        return None

    def _longest_untried(self, now: float, other_than: Collection[str], *, failed: bool) -> str | None:
        left = [each for each in self._order if each not in other_than and (failed or not self._members[each].failures)]
        if not left:
            return None
        # One that has worked before is a better guess than one that never has.
        address = min(left, key=lambda each: (not self._members[each].known, self._members[each].tried_at))
        self._members[address].tried_at = now
        return address

    def _is_usable(self, address: str, member: _Member, now: float) -> bool:
        return member.works and member.rests_until <= now and not self._outliers.seconds_out(address, now)
