"""The replicas that serve one model: which exist now, how many there should be, and connections to them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from serving.fleet.discovery import Discovery
from serving.fleet.pod import PodReplica
from serving.fleet.source import Source
from serving.fleet.sources import parse_source
from serving.grpc_replica import GrpcReplica
from serving.replica import Replica
from serving.tls import Tls


class Fleet(Protocol):
    """The replicas that serve one model."""

    @property
    def expected(self) -> int:
        """How many replicas there should be at least."""

    @property
    def tls(self) -> Tls | None:
        """How connections are encrypted; None for plain text."""

    @property
    def first_ring(self) -> "Fleet | None":
        """The replicas that a candidate is exposed to first; None if it is exposed to all of them at once."""

    def addresses(self) -> Sequence[str]:
        """The replicas that exist, as `host:port`; at most a second old. They may change, so do not keep the answer.

        While a source fails, its list may be up to a minute old: good enough to act on, for example to roll back, but
        no proof that these are all replicas.

        Raises:
            DiscoveryError: a source gave no answer, and no such list is known.
        """

    def fresh_addresses(self) -> Sequence[str]:
        """The same, asked from every source now. What claims that every replica is ready must ask here.

        Raises:
            DiscoveryError: a source gave no answer.
        """

    def pods(self) -> Mapping[str, PodReplica]:
        """The pods of the lists that were found last, by address. An address without one: its source knows no pods.

        Asks no source and never fails. While a source fails, these are as old as its list.
        """

    def shortfall(self, addresses: Sequence[str]) -> str:
        """Why these addresses are too few, and what to check, as text for a person; empty if they are enough.

        Args:
            addresses: what `addresses` or `fresh_addresses` has just returned.
        """

    def connect(self, address: str, *, timeout: float) -> Replica:
        """A new connection to one replica. No call on it takes longer than `timeout` seconds."""


@dataclass(frozen=True)
class Group:
    """Some replicas of a fleet.

    Attributes:
        name: its name in the fleet.
        source: which replicas exist.
        minimum: how many there should be at least.
    """

    name: str
    source: Source
    minimum: int


@dataclass
class GroupedFleet:
    """Replicas in one or more groups; see `Fleet`. Safe to use from several threads.

    Attributes:
        groups: they are not changed afterwards.
        tls: how to encrypt connections; None for plain text.
        ring: the name of the group that is the first ring; None for no first ring.
        now: a clock, in seconds.
    """

    groups: tuple[Group, ...]
    tls: Tls | None = None
    ring: str | None = None
    now: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._discoveries = [Discovery(group.source, now=self.now) for group in self.groups]

    @cached_property
    def first_ring(self) -> "GroupedFleet | None":
        """That group as a fleet; one without replicas if no group has its name. Both ask a source once."""
        if self.ring is None:
            return None
        inside = [pair for pair in zip(self.groups, self._discoveries, strict=True) if pair[0].name == self.ring]
        ring = GroupedFleet(tuple(group for group, _ in inside), self.tls, now=self.now)
        ring._discoveries = [discovery for _, discovery in inside]
        return ring

    @property
    def expected(self) -> int:
        return sum(group.minimum for group in self.groups)

    def addresses(self) -> Sequence[str]:
        return _each_once(discovery.current() for discovery in self._discoveries)

    def fresh_addresses(self) -> Sequence[str]:
        return _each_once(discovery.fresh() for discovery in self._discoveries)

    def pods(self) -> Mapping[str, PodReplica]:
        return {address: pod for each in self._discoveries for address, pod in each.pods.items()}

    def shortfall(self, addresses: Sequence[str]) -> str:
        unclaimed = set(addresses)
        short = []
        pairs = zip(self.groups, self._discoveries, strict=True)
        for group, discovery in sorted(pairs, key=lambda pair: pair[0].name != self.ring):
            # A replica of two groups counts in the first ring, or else in the first group.
            own = unclaimed.intersection(discovery.last)
            unclaimed -= own
            if len(own) < group.minimum:
                short.append(self._too_few(group, len(own)))
        return ". ".join(short)

    def _too_few(self, group: Group, found: int) -> str:
        name = f" of group {group.name}" if len(self.groups) > 1 else ""
        return (
            f"only {found} of {group.minimum} replicas{name} are listed by {group.source.uri}. "
            f"{group.source.too_few(found)}"
        )

    def connect(self, address: str, *, timeout: float) -> Replica:
        return GrpcReplica(address, timeout=timeout, tls=self.tls)


def _each_once(lists: Iterable[Sequence[str]]) -> Sequence[str]:
    return tuple(dict.fromkeys(address for each in lists for address in each))


def parse_fleet(text: str, *, expected: int | None = None, tls: Tls | None = None) -> GroupedFleet:
    """A fleet with one group, from the address of its source, for example `host:port,host:port`.

    Args:
        text: the source, see `serving.fleet.sources`.
        expected: how many replicas there should be at least; None for as many as listed, or 1 if that is not fixed.
        tls: how to encrypt connections; None for plain text.

    Raises:
        ValueError: the text is malformed; says what is expected.
    """
    source = parse_source(text)
    return GroupedFleet((Group("main", source, expected or source.size or 1),), tls)
