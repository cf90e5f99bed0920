"""One model server, asked directly: status, answers and configuration, each with a deadline."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from serving.apis import model_server_config_pb2
from serving.wire import Array

# The label that traffic asks for.
STABLE = "stable"


@dataclass(frozen=True)
class VersionStatus:
    """What a replica says of one version. `error` holds the server's words where loading or serving ended badly."""

    version: int
    state: str
    error: str

    @property
    def available(self) -> bool:
        return self.state == "AVAILABLE"

    @property
    def ended(self) -> bool:
        return self.state == "END"

    @property
    def failed(self) -> bool:
        return self.ended and bool(self.error)


@dataclass(frozen=True)
class Answer:
    """Outputs by name, and the version that really computed them."""

    outputs: Mapping[str, Array]
    version: int


class Replica(Protocol):
    """A connection to one replica. All methods raise `ServingError`s, and none takes longer than was agreed."""

    @property
    def address(self) -> str: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None: ...

    def status(self, model: str, version: int) -> VersionStatus | None:
        """The state of exactly this version; None where the replica has never seen it."""

    def statuses(self, model: str) -> list[VersionStatus]:
        """All versions the replica has seen since it started, newest number first; also those that ended."""

    def version_behind(self, model: str, label: str | None) -> int | None:
        """The version that answers requests for `label`, or, without one, those that name neither label nor version.

        None where nothing answers them.
        """

    def predict(
        self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, label: str | None = None
    ) -> Answer:
        """Outputs for a batch, by an exact version, by whatever a label points at, or by the newest version loaded."""

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Hand the replica a complete new configuration; it holds until the next one, also a polled one."""
