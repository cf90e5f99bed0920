"""One model server, asked directly: status, answers and configuration, each with a time limit."""

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
    """The state of one version on a replica.

    Attributes:
        version: its number.
        state: as in ModelVersionStatus.State of tensorflow_serving/apis/get_model_status.proto, for example `LOADING`.
        error: the server's message if loading or serving failed; otherwise empty.
    """

    version: int
    state: str
    error: str

    @property
    def available(self) -> bool:
        """Whether it is loaded and answers."""
        return self.state == "AVAILABLE"

    @property
    def ended(self) -> bool:
        """Whether it was unloaded, or failed to load."""
        return self.state == "END"

    @property
    def failed(self) -> bool:
        """Whether it failed to load or to serve. The server does not try again by itself."""
        return self.ended and bool(self.error)


@dataclass(frozen=True)
class Answer:
    """Outputs by name, the version that computed them, and the replica that answered, as `host:port`."""

    outputs: Mapping[str, Array]
    version: int
    address: str


class Replica(Protocol):
    """A connection to one replica.

    All methods raise `ServingError`, and none takes longer than the connection's time limit.
    """

    @property
    def address(self) -> str: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None: ...

    def status(self, model: str, version: int) -> VersionStatus | None:
        """The state of exactly this version; None if the replica has not seen it since it started."""

    def statuses(self, model: str) -> list[VersionStatus]:
        """All versions that the replica has seen since it started, the highest first, also those that were unloaded."""

    def version_behind(self, model: str, label: str | None) -> int | None:
        """The version that answers requests for `label`, or without one, requests that name neither label nor version.

        None if no version answers them.
        """

    def predict(
        self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, label: str | None = None
    ) -> Answer:
        """The outputs for a batch, by an exact version, by the version behind a label, or by the newest one."""

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Send the replica a complete new configuration. It holds until the next one, also one that is polled."""
