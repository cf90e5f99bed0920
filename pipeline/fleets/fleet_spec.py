"""The fleet of one model, as a record holds it: its deployment, its groups of replicas, and how they are encrypted."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pipeline.deployment import Deployment
from pipeline.errors import BadInputError
from pipeline.settings import Settings
from pipeline.stored import UNKNOWN_VALUE
from serving.fleet.fleet import Group, GroupedFleet
from serving.fleet.source import Source
from serving.fleet.sources import UnknownSourceError, parse_source
from serving.fleet.static import SCHEME as STATIC
from serving.tls import Tls

# The group of a fleet that has only one.
MAIN = "main"

GroupName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]

# The value of UNDERSTUDY_TLS_CA for the authorities that every machine knows.
SYSTEM = "system"


class ReplicaGroup(BaseModel):
    """Some replicas of a fleet.

    Attributes:
        replicas: the source of their addresses, for example `static://10.0.0.4:8500` (`serving.fleet.sources`).
        minimum: how many there should be at least. If it is not given, as many as a fixed list has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: str
    minimum: int = Field(ge=1)

    @model_validator(mode="before")
    @classmethod
    def _count(cls, given: object) -> object:
        if not isinstance(given, dict) or given.get("minimum") is not None:
            return given
        source = _parsed(str(given.get("replicas", "")))
        if source.size is None:
            raise ValueError(
                f"how many replicas {source.uri} should have at least is not known. Give the minimum, because fewer "
                "replicas than exist would be proven"
            )
        return given | {"minimum": source.size}

    @field_validator("replicas")
    @classmethod
    def _source(cls, text: str) -> str:
        return _parsed(text).uri


def static_members(group: ReplicaGroup) -> list[str]:
    """The addresses of a group with a fixed list; none for every other group."""
    scheme, _, rest = group.replicas.partition("://")
    return rest.split(",") if scheme == STATIC else []


def _parsed(text: str) -> Source:
    try:
        return parse_source(text)
    except UnknownSourceError as error:
        raise PydanticCustomError(UNKNOWN_VALUE, "{problem}", {"problem": str(error)}) from error


class TlsSpec(BaseModel):
    """Encrypted connections to the replicas. Holds no secret: certificates of clients stay with the clients.

    Attributes:
        ca: the authority that signed the servers' certificates, in PEM; None for those that every machine knows.
        server_name: the name in the servers' certificates; None if it is the host of their address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca: str | None = None
    server_name: str | None = None

    @field_validator("ca")
    @classmethod
    def _public(cls, pem: str | None) -> str | None:
        if pem is None:
            return None
        if "PRIVATE KEY" in pem:
            raise ValueError("this file has a private key, which must not be recorded. Give the certificates alone")
        if "-----BEGIN CERTIFICATE-----" not in pem:
            raise ValueError("this is no certificate in PEM")
        return pem


class FleetSpec(Deployment):
    """The fleet of one model.

    Attributes:
        groups: its replicas, by the name of the group. Empty only if it is not known which exist.
        tls: how connections to the replicas are encrypted; None for plain text.
        first_ring: the group that a candidate is exposed to first; None if it is exposed to all of them at once.
        ring_config: whether servers may poll the config of the first ring, because the fleet has a first ring or once
            had one. It is kept up to date for those that were not moved to the other config yet.
    """

    groups: dict[GroupName, ReplicaGroup]
    tls: TlsSpec | None = None
    first_ring: GroupName | None = None
    ring_config: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        sources = [group.replicas for group in self.groups.values()]
        if len(set(sources)) != len(sources):
            raise ValueError("two groups have the same source of replicas. Leave one of them out")
        return self

    @model_validator(mode="after")
    def _ring(self) -> Self:
        if self.first_ring is None:
            return self
        if self.first_ring not in self.groups:
            raise ValueError(
                f"the first ring is the group {self.first_ring!r}, and the groups are {', '.join(self.groups)}. "
                f"Give the replicas of that group too, or another first ring (`--first-ring none` for none)"
            )
        if len(self.groups) == 1:
            raise ValueError(
                f"the only group, {self.first_ring!r}, cannot be the first ring: no replica would be beyond it. Divide "
                f"the replicas into two groups: --replicas first=host:port --replicas rest=host:port"
            )
        wait = self.load_seconds + self.soak_seconds + self.follow_seconds
        if self.abandoned_seconds <= wait:
            raise ValueError(
                f"abandoned_seconds ({self.abandoned_seconds:g}) must be greater than load_seconds + soak_seconds + "
                f"follow_seconds ({wait:g})"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _ring_config(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("first_ring") is not None:
            return given | {"ring_config": True}
        return given

    @property
    def replicas(self) -> str:
        """The groups as text for a person: `static://a:8500 (at least 1)`."""
        texts = [
            f"{'' if [name] == [*self.groups] == [MAIN] else f'{name}='}{group.replicas} (at least {group.minimum}"
            f"{', first ring' if name == self.first_ring else ''})"
            for name, group in self.groups.items()
        ]
        return " and ".join(texts) or "not known"

    def connect_with(self, settings: Settings) -> GroupedFleet:
        """The fleet to connect to, with the certificate of this client from the settings. Nothing is connected yet.

        Raises:
            BadInputError: a file of the settings cannot be read.
        """
        groups = (Group(name, parse_source(group.replicas), group.minimum) for name, group in self.groups.items())
        return GroupedFleet(tuple(groups), self._tls(settings), ring=self.first_ring)

    def _tls(self, settings: Settings) -> Tls | None:
        if self.tls is None:
            return None
        return Tls(
            ca=self.tls.ca.encode() if self.tls.ca is not None else None,
            server_name=self.tls.server_name,
            certificate=_content(settings.tls_certificate, "UNDERSTUDY_TLS_CERTIFICATE"),
            key=_content(settings.tls_key, "UNDERSTUDY_TLS_KEY"),
        )


def _content(path: Path | None, variable: str) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError as error:
        raise BadInputError(f"{variable}: {path} cannot be read: {error.strerror}") from error
