"""The replicas that serve one model: which exist now, how many there should be, and connections to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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

    def addresses(self) -> Sequence[str]:
        """The replicas that exist, as `host:port`; at most a second old. They may change, so do not keep the answer.

        Raises:
            DiscoveryError: a source gave no answer.
        """

    def fresh_addresses(self) -> Sequence[str]:
        """The same, asked from every source now."""

    def shortfall(self, addresses: Sequence[str]) -> str:
        """Why these addresses are too few, and what to check, as text for a person; empty if they are enough."""

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


@dataclass(frozen=True)
class GroupedFleet:
    """Replicas in one or more groups; see `Fleet`."""

    groups: tuple[Group, ...]
    tls: Tls | None = None

    @property
    def expected(self) -> int:
        return sum(group.minimum for group in self.groups)

    def addresses(self) -> Sequence[str]:
        return self.fresh_addresses()

    def fresh_addresses(self) -> Sequence[str]:
        # A replica of two groups is one replica.
        return tuple(dict.fromkeys(address for group in self.groups for address in group.source.addresses()))

    def shortfall(self, addresses: Sequence[str]) -> str:
        if len(addresses) >= self.expected:
            return ""
        sources = ", ".join(group.source.uri for group in self.groups)
        hints = ". ".join(dict.fromkeys(group.source.too_few for group in self.groups))
        return f"only {len(addresses)} of {self.expected} replicas are listed by {sources}. {hints}"

    def connect(self, address: str, *, timeout: float) -> Replica:
        return GrpcReplica(address, timeout=timeout, tls=self.tls)


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
