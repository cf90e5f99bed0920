"""`static://host:port,host:port`: a fixed list of replicas."""

import re
from dataclasses import dataclass

SCHEME = "static"

_ADDRESS = re.compile(r"[A-Za-z0-9.\-]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


@dataclass(frozen=True)
class StaticSource:
    """A fixed list; see `serving.fleet.source.Source`."""

    members: tuple[str, ...]

    @property
    def uri(self) -> str:
        return f"{SCHEME}://{','.join(self.members)}"

    @property
    def size(self) -> int | None:
        return len(self.members)

    def addresses(self) -> tuple[str, ...]:
        return self.members

    def too_few(self, found: int) -> str:  # noqa: ARG002 - the same advice for any number
        return "Add the replicas that are missing to the list"


def parse_static(text: str) -> StaticSource:
    """A source from `host:port,host:port`.

    Raises:
        ValueError: an address is not `host:port`, is listed twice, or the list is empty.
    """
    members = tuple(part.strip() for part in text.split(",") if part.strip())
    if not members:
        raise ValueError("the list of replicas is empty; give host:port,host:port")
    for member in members:
        if not _ADDRESS.fullmatch(member) or not 1 <= int(member.rpartition(":")[2]) <= 65535:
            raise ValueError(f"replica {member!r} is not host:port")
    if len(set(members)) != len(members):
        raise ValueError(f"a replica stands twice in {text!r}; one that is asked twice proves nothing about the other")
    return StaticSource(members)
