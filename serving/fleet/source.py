"""Where the addresses of replicas come from."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from serving.fleet.pod import PodReplica


class Source(Protocol):
    """A list of replicas, or a service that knows them.

    A new kind is one module with a class and a function that parses what follows `scheme://`, and one line in
    `serving.fleet.sources`. Ports may differ from replica to replica. An address is all that is known of a replica
    here; see `SourceOfPods` for more.

    Attributes:
        uri: the source as a person writes it, for example `dns://digits.serving:8500`.
        size: how many addresses it always has; None if that may change.
    """

    @property
    def uri(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    def addresses(self) -> Sequence[str]:
        """The replicas that exist now, as `host:port`, each once. Asked freshly at every call, within a few seconds.

        Replicas that are starting or do not answer belong to them. No addresses is an answer, not an error. Called
        from several threads at once.

        Raises:
            DiscoveryError: the service that knows them gave no answer.
        """

    def too_few(self, found: int) -> str:
        """What to check when it has only `found` addresses, fewer than there are replicas; without a full stop."""


@runtime_checkable
class SourceOfPods(Source, Protocol):
    """A source that knows the pod of each replica as well."""

    def replicas(self) -> Sequence[PodReplica]:
        """What `addresses` gives, and the pod of each, from the same requests.

        Raises:
            DiscoveryError: see `addresses`.
        """
