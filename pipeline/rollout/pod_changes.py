"""What has happened to the pods of a fleet since a candidate was exposed."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serving.errors import DiscoveryError
from serving.fleet.fleet import Fleet
from serving.fleet.pod import PodReplica

log = logging.getLogger(__name__)


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

    def described(self, address: str) -> str:
        """Which pod it was, and what happened to it, in brackets after a space; empty without a pod."""
        pod = self.before.get(address)
        return f" (pod {pod.name}, UID {pod.uid}{self._risen(pod)})" if pod else ""

    def advice(self, address: str) -> str:
        """What to look at after an end of its server, as text for a person; without a full stop."""
        pod = self.before.get(address)
        if pod is None:
            return "read the log of the server"
        kubectl = f"kubectl --namespace {pod.namespace}"
        return (
            f"two versions are in memory at once. See `{kubectl} describe pod {pod.name}` and "
            f"`{kubectl} logs {pod.name} --previous`"
        )

    def _risen(self, before: PodReplica) -> str:
        restarts = self.restarts(before.address)
        if not restarts:
            return ""
        last = self.now[before.address].last_end
        counts = f", restart count {before.restarts} before and {before.restarts + restarts} now"
        return f"{counts}, last end: {last}" if last else counts


def processes(fleet: Fleet) -> Mapping[str, tuple[str, int]]:
    """Which server process is behind each address, see `PodReplica.process`; without those that no source knows."""
    return {address: pod.process for address, pod in fleet.pods().items()}


def pods_from_now(fleet: Fleet) -> Callable[[], Mapping[str, PodReplica]]:
    """The pods of a fleet as they are now, and from then on.

    Without a fresh list there is nothing to compare with: restarts before the exposure would count against the
    candidate.
    """
    try:
        if fleet.pods():
            fleet.fresh_addresses()
    except DiscoveryError as error:
        log.warning("%s. Restarts are noticed in this check only by the answers of replicas", error)
        return dict
    return fleet.pods
