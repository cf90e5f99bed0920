"""Which replicas fail far more often than the others of their fleet. No input or output."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.client.recent import Recent

# A replica is out if so many of its requests of the last 10 to 20 seconds failed, they are so large a part of them,
# and the part is so many times that of all others together.
SPAN_SECONDS = 10.0
FEWEST_FAILURES = 5
FAILING = 0.2
TIMES_THE_OTHERS = 3
# The others prove that it is the replica and not the fleet by so many requests.
FEWEST_OF_OTHERS = 10
# How much of the fleet may be out.
MOST_OUT = 1 / 3
# How long it is out; each time twice as long, up to the last. It begins anew after a minute without.
FIRST_SECONDS = 10.0
LONGEST_SECONDS = 80.0
FORGOTTEN_SECONDS = 60.0


@dataclass(eq=False)
class _Member:
    recent: Recent = field(default_factory=lambda: Recent(SPAN_SECONDS))
    out_until: float = -float("inf")
    seconds: float = 0.0


class Outliers:
    """Counts the outcomes of requests for each replica. Not safe to use from several threads.

    All times are those of one clock, in seconds.
    """

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._any_until = -float("inf")

    def update(self, addresses: Sequence[str]) -> None:
        """Replace the list. What is known of an address that stays in it is kept."""
        self._members = {each: self._members.get(each) or _Member() for each in addresses}

    def count(self, address: str, now: float, *, good: bool) -> None:
        """A request was answered, or was not, or failed on the server."""
        member = self._members.get(address)
        if member is None:
            return
        member.recent.count(now, good=good)
        if not good and self._has_room(now) and self._is_outlier(member, now):
            self._eject(member, now)

    def seconds_out(self, address: str, now: float) -> float:
        """For how long the replica gets no requests; 0 if it gets them."""
        if now >= self._any_until:
            return 0.0
        member = self._members.get(address)
        return 0.0 if member is None else max(0.0, member.out_until - now)

    def _has_room(self, now: float) -> bool:
        out = sum(each.out_until > now for each in self._members.values())
        return out + 1 <= MOST_OUT * len(self._members)

    def _is_outlier(self, member: _Member, now: float) -> bool:
        good, bad = member.recent.totals(now)
        others = [each.recent.totals(now) for each in self._members.values() if each is not member]
        good_of_others, bad_of_others = (sum(numbers) for numbers in zip(*others, strict=True))
        of_others = good_of_others + bad_of_others
        if bad < FEWEST_FAILURES or of_others < FEWEST_OF_OTHERS:
            return False
        failing = bad / (good + bad)
        return failing >= FAILING and failing >= TIMES_THE_OTHERS * bad_of_others / of_others

    def _eject(self, member: _Member, now: float) -> None:
        if member.out_until > now:
            return
        again = now - member.out_until < FORGOTTEN_SECONDS
        member.seconds = min(2 * member.seconds, LONGEST_SECONDS) if again else FIRST_SECONDS
        member.out_until = now + member.seconds
        self._any_until = max(self._any_until, member.out_until)
        # It is judged by what it does when it is back.
        member.recent.clear()
