"""Which replicas exist. A fleet serves one model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.grpc_replica import GrpcReplica
from serving.replica import Replica

_ADDRESS = re.compile(r"[A-Za-z0-9.\-]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


class Fleet(Protocol):
    @property
    def expected(self) -> int:
        """How many replicas there should be at least."""

    def addresses(self) -> Sequence[str]:
        """The replicas that exist now, as `host:port`; asked again whenever it matters."""

    def connect(self, address: str, *, timeout: float) -> Replica:
        """A connection to one of them, none of whose calls outlives `timeout` seconds."""


@dataclass(frozen=True)
class StaticFleet:
    """A fixed list."""

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
        expected: how many replicas there should be; as many as listed unless said otherwise.

    Raises:
        ValueError: an address is not `host:port`, stands twice, or there is none.
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
