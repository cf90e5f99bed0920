"""The kubelet: runs each pod that is created as a local process."""

import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.container_log import ContainerLog
from tests.kubernetes.faults import Faults
from tests.kubernetes.images import Image
from tests.kubernetes.pod_run import PodRun


@dataclass
class Kubelet:
    """One node.

    Attributes:
        images: by name; others cannot be pulled. They may change.
        runs: of all pods so far, in the order of their creation; of deleted pods, too.
    """

    cluster: Cluster
    images: Mapping[str, Image]
    faults: Faults
    services: Mapping[str, str] = field(default_factory=dict)
    runs: list[PodRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._folder = tempfile.TemporaryDirectory(prefix="kubelet-")

    def run(self, pod: Mapping[str, Any]) -> None:
        """Begin to run a pod."""
        run = PodRun(
            self.cluster,
            pod,
            self.images,
            self.faults.of_pod(pod),
            Path(self._folder.name) / pod["metadata"]["uid"],
            self.services,
            self._stopped,
        )
        thread = threading.Thread(target=run, name=f"pod {pod['metadata']['name']}")
        self.runs.append(run)
        self._threads.append(thread)
        thread.start()

    def log(self, pod: Mapping[str, Any]) -> ContainerLog | None:
        """The log of a pod; None before its container starts."""
        uid = pod["metadata"]["uid"]
        return next((run.log for run in self.runs if run.uid == uid and run.has_started), None)

    def close(self) -> None:
        """End all processes, and wait until they have ended."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._folder.cleanup()
