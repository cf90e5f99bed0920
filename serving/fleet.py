"""Which replicas exist. A fleet serves one model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.grpc_replica import GrpcReplica
from serving.replica import Replica

_ADDRESS = re.compile(r"[A-Za-z0-9.\-]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


class Fleet(Protocol):
    """The replicas that serve one model."""

    @property
    def expected(self) -> int:
        """How many replicas there should be at least."""

    def addresses(self) -> Sequence[str]:
        """The replicas that exist now, as `host:port`. They may change, so do not keep the answer."""

    def connect(self, address: str, *, timeout: float) -> Replica:
        """A connection to one replica. No call on it takes longer than `timeout` seconds."""


@dataclass(frozen=True)
class StaticFleet:
    """A fixed list of replicas."""

    members: tuple[str, ...]
    expected: int

    def addresses(self) -> Sequence[str]:
        return self.members

    def connect(self, address: str, *, timeout: float) -> Replica:
        return GrpcReplica(address, timeout=timeout)


def parse_fleet(text: str, *, expected: int | None = None) -> StaticFleet:
    """A fleet from `host:port,host:port`.

    Args:
        text: the list.
        expected: how many replicas there should be at least; None for as many as listed.

    Raises:
        ValueError: an address is not `host:port`, is listed twice, or the list is empty.
    """
    members = tuple(part.strip() for part in text.split(",") if part.strip())
    if not members:
        raise ValueError("the list of replicas is empty; give host:port,host:port")
    for member in members:
        if not _ADDRESS.fullmatch(member):
            raise ValueError(f"replica {member!r} is not host:port")
    if len(set(members)) != len(members):
        raise ValueError(f"a replica stands twice in {text!r}; one that is asked twice proves nothing about the other")
    return StaticFleet(members, expected or len(members))
