"""What is known of a replica that is a pod."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class PodReplica:
    """A replica that is a pod of Kubernetes.

    Attributes:
        address: `host:port`. Another pod may get it later.
        namespace: where the pod is.
        name: the pod's name there. A StatefulSet gives it to the next pod again.
        uid: the pod's identity. No other pod ever has it.
        restarts: how many times the pod's server was started again: the restart count of the container that declares
            the port, or the sum of all containers if none declares it. It grows as long as the pod lives.
        ready: whether the pod is ready.
        last_end: why the process before the current one ended, as Kubernetes names it, for example `OOMKilled`; empty
            if there was none, or if nothing is known of it.
    """

    address: str
    namespace: str
    name: str
    uid: str
    restarts: int
    ready: bool
    last_end: str = ""

    @property
    def process(self) -> tuple[str, int]:
        """Which start of which pod. Another value at the same address is another server process."""
        return self.uid, self.restarts
