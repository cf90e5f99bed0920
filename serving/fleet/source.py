"""Where the addresses of replicas come from."""

from collections.abc import Sequence
from typing import Protocol


class Source(Protocol):
    """A list of replicas, or a service that knows them.

    Attributes:
        uri: the source as a person writes it, for example `dns://digits.serving:8500`.
        size: how many addresses it always has; None if that may change.
        too_few: what to check when it has fewer addresses than replicas, as a sentence.
    """

    @property
    def uri(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    @property
    def too_few(self) -> str: ...

    def addresses(self) -> Sequence[str]:
        """The replicas that exist now, as `host:port`, each once. Asked freshly at every call.

        No addresses is an answer, not an error.

        Raises:
            DiscoveryError: the service that knows them gave no answer.
        """
