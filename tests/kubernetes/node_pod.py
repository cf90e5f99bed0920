"""A pod as its node sees it: what it is now, and how to change it."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.kubernetes import pod_status
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.events import KUBELET, record_event
from tests.kubernetes.resources import PODS

POLL_SECONDS = 0.02
OVERDUE = "Pod was active on the node longer than the specified deadline"


class PodEndedError(Exception):
    """Nothing is left to do: the pod is gone, or the double stops."""


class NodePod:
    """One pod of one uid; another of the same name is not changed.

    Args:
        created: the pod as it was created.
        stopped: the double stops.
    """

    def __init__(self, cluster: Cluster, created: Mapping[str, Any], stopped: threading.Event) -> None:
        self.cluster = cluster
        self.created = created
        self.name, self.namespace = created["metadata"]["name"], created["metadata"]["namespace"]
        self.uid = created["metadata"]["uid"]
        self.container = created["spec"]["containers"][0]
        self._stopped = stopped
        self._active_since = time.monotonic()

    def existing(self) -> dict[str, Any]:
        """The pod as it is.

        Raises:
            PodEndedError: it is gone, or the double stops.
        """
        pod = self.cluster.get(PODS, self.namespace, self.name)
        if self._stopped.is_set() or pod is None or pod["metadata"]["uid"] != self.uid:
            raise PodEndedError
        return pod

    def waiting(self) -> dict[str, Any]:
        """The pod as it is, before its container runs.

        Raises:
            PodEndedError: it is gone or deleted, its time is over, or the double stops.
        """
        pod = self.existing()
        if "deletionTimestamp" in pod["metadata"]:
            self.remove()
            raise PodEndedError
        if "nodeName" in pod["spec"] and self.is_overdue(pod):
            self.record("DeadlineExceeded", OVERDUE, normal=False)
            end = {"phase": "Failed", "reason": "DeadlineExceeded", "message": OVERDUE}
            self.change(lambda found: found["status"].update(end))
            raise PodEndedError
        return pod

    def pause(self) -> None:
        """Wait a moment, before the container runs.

        Raises:
            PodEndedError: see `waiting`.
        """
        time.sleep(POLL_SECONDS)
        self.waiting()

    def stay(self, seconds: float | None, *, until: Callable[[], bool] = lambda: False) -> None:
        """Wait so long, None for ever; or until something is so.

        Raises:
            PodEndedError: see `waiting`.
        """
        ends = None if seconds is None else time.monotonic() + seconds
        while (ends is None or time.monotonic() < ends) and not until():
            self.pause()

    def become_active(self) -> None:
        """The active deadline counts from now on."""
        self._active_since = time.monotonic()

    def is_overdue(self, pod: Mapping[str, Any]) -> bool:
        seconds = pod["spec"].get("activeDeadlineSeconds")
        return seconds is not None and time.monotonic() - self._active_since >= seconds

    def change(self, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Change the pod.

        Raises:
            PodEndedError: it is gone.
        """
        changed = self.cluster.update(PODS, self.namespace, self.name, change, uid=self.uid)
        if changed is None:
            raise PodEndedError
        return changed

    def wait_because(self, reason: str, message: str = "") -> None:
        """The container waits, for a reason."""
        self.change(lambda pod: pod_status.waiting(pod["status"], self.container, reason, message))

    def remove(self) -> None:
        self.cluster.remove(PODS, self.name, namespace=self.namespace, uid=self.uid)

    def record(self, reason: str, message: str, *, normal: bool = True, component: str = KUBELET) -> None:
        """Record an event."""
        record_event(self.cluster, self.created, reason, message, normal=normal, component=component)
