"""What has happened to the pods of a fleet since a candidate was exposed."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.fleet.pod import PodReplica


@dataclass(frozen=True)
class PodChanges:
    """Compares the pods of replicas. All is unknown of an address without a pod: its source knows no pods.

    Attributes:
        before: the pods right before the exposure, by address.
        now: the pods now.
    """

    before: Mapping[str, PodReplica]
    now: Mapping[str, PodReplica]

    def is_replaced(self, address: str) -> bool:
        """Whether another pod has the address now."""
        before, now = self.before.get(address), self.now.get(address)
        return before is not None and now is not None and before.uid != now.uid

    def restarts(self, address: str) -> int:
        """How many times the server was started again in the same pod, as far as Kubernetes has counted yet."""
        before, now = self.before.get(address), self.now.get(address)
        return max(0, now.restarts - before.restarts) if before and now and before.uid == now.uid else 0

    def described(self, address: str) -> tuple[str, str]:
        """Which pod it was and what happened to it, and what to do, as text for a person; without a full stop."""
        pod = self.before.get(address)
        if pod is None:
            return "", "read the log of the server"
        risen = ""
        if restarts := self.restarts(address):
            last = self.now[address].last_end
            risen = f", restart count {pod.restarts} before and {pod.restarts + restarts} now"
            risen += f", last end: {last}" if last else ""
        kubectl = f"kubectl --namespace {pod.namespace}"
        return (
            f" (pod {pod.name}, UID {pod.uid}{risen})",
            f"two versions are in memory at once. See `{kubectl} describe pod {pod.name}` and "
            f"`{kubectl} logs {pod.name} --previous`",
        )
