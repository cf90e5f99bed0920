"""The life of one pod on the node: its container is started, watched and stopped, and its end is written down."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubernetes import moments, pod_status
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.container import Container
from tests.kubernetes.container_log import ContainerLog
from tests.kubernetes.environment import container_argv
from tests.kubernetes.faults import Faults, PodFault
from tests.kubernetes.images import Image
from tests.kubernetes.node_pod import OVERDUE, POLL_SECONDS, NodePod, PodEndedError
from tests.kubernetes.pod_start import pull, schedule, variables

_RESULT_VARIABLE, _TERMINATION_LOG = "UNDERSTUDY_RESULT_FILE", "/dev/termination-log"
_NO_MEMORY = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61Mi. "


@dataclass
class PodRun:
    """Runs a pod until it has ended or is deleted.

    Attributes:
        pod: as it was created.
        argv, variables: of its process; empty before it starts.
        log: its output; it stays after the pod is deleted.
    """

    cluster: Cluster
    pod: Mapping[str, Any]
    images: Mapping[str, Image]
    faults: Faults
    message_file: Path
    services: Mapping[str, str]
    stopped: threading.Event
    argv: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    log: ContainerLog = field(default_factory=ContainerLog)
    has_started: bool = False

    def __post_init__(self) -> None:
        self.name, self.uid = self.pod["metadata"]["name"], self.pod["metadata"]["uid"]
        self.fault = self.faults.of_pod(self.pod)
        self._node_pod = NodePod(self.cluster, self.pod, self.stopped)
        self._spec = self._node_pod.container
        self._is_stopping = self._has_suffered = False
        # Why the container, and why the pod ended, if it is not the exit code.
        self._exit_reason = ""
        self._pod_reason: dict[str, str] = {}

    def __call__(self) -> None:
        try:
            self._live()
        except PodEndedError:
            self.log.end()

    def _live(self) -> None:
        schedule(self._node_pod, self.fault)
        pull(self._node_pod, self.images, self.fault)
        self._prepare()
        try:
            container = self._start()
        except (OSError, IndexError) as error:
            self._fail_to_start(f"failed to create containerd task: failed to create shim task: {error}")
            return
        try:
            code = self._observe(container)
        finally:
            container.kill()
        reason = self._exit_reason or ("Error" if code else "Completed")
        self._end(code, reason, container.message(self._spec["terminationMessagePolicy"], code))

    def _prepare(self) -> None:
        """Compute the command line and the variables."""
        image = self.images[self._spec["image"]]
        given = variables(self._node_pod, self.services)
        self.variables = {**image.env, "HOSTNAME": self.name, **given}
        self.argv = image.local(container_argv(self._spec, image.entrypoint, image.command, given))
        if self.variables.get(_RESULT_VARIABLE) == _TERMINATION_LOG:
            self.variables[_RESULT_VARIABLE] = str(self.message_file)
        self._node_pod.record("Created", f"Created container: {self._spec['name']}")
        self._started_at, self._running_since = moments.now(), time.monotonic()

    def _start(self) -> Container:
        directory = self._spec.get("workingDir") or str(self.images[self._spec["image"]].directory)
        container = Container(
            self.argv, env=self.variables, directory=directory, message_file=self.message_file, log=self.log
        )
        self.has_started = True
        return container

    def _fail_to_start(self, problem: str) -> None:
        self._node_pod.record("Failed", f"Error: {problem}", normal=False)
        self.log.end()
        self._end(128, "StartError", problem)

    def _observe(self, container: Container) -> int:
        """The exit code."""
        self._node_pod.change(lambda pod: pod_status.running(pod["status"], self._spec, started_at=self._started_at))
        self._node_pod.record("Started", f"Started container {self._spec['name']}")
        while (code := container.poll()) is None:
            self._obey(container, self._node_pod.existing())
            self._suffer(container)
            time.sleep(POLL_SECONDS)
        return code

    def _obey(self, container: Container, pod: Mapping[str, Any]) -> None:
        """Stop a pod that is deleted, or has run for too long."""
        if "deletionTimestamp" in pod["metadata"]:
            self._stop(container, pod["metadata"]["deletionGracePeriodSeconds"])
        elif self._node_pod.is_overdue(pod) and not self._pod_reason:
            self._pod_reason = {"reason": "DeadlineExceeded", "message": OVERDUE}
            self._node_pod.record("DeadlineExceeded", OVERDUE, normal=False)
            self._stop(container, pod["spec"]["terminationGracePeriodSeconds"])

    def _stop(self, container: Container, grace_seconds: float) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._node_pod.record("Killing", f"Stopping container {self._spec['name']}")
        container.stop(grace_seconds)

    def _suffer(self, container: Container) -> None:
        """Have the fault that is ordered, when it is due."""
        if self.fault is None:
            # It may have been ordered while the pod runs.
            self.fault = self.faults.of_pod(self.pod, _EFFECTS.keys())
        fault = self.fault
        if fault is None or fault.kind not in _EFFECTS or self._has_suffered or not self._is_due(fault):
            return
        self._has_suffered = True
        _EFFECTS[fault.kind](self, fault)
        container.stop(0)

    def _is_due(self, fault: PodFault) -> bool:
        is_late = time.monotonic() - self._running_since >= fault.after
        return is_late and (not fault.line or fault.line in self.log.text())

    def _be_killed(self, fault: PodFault) -> None:
        """SIGKILL is all."""

    def _run_out_of_memory(self, fault: PodFault) -> None:
        self._exit_reason = "OOMKilled"

    def _be_evicted(self, fault: PodFault) -> None:
        message = fault.message or f"{_NO_MEMORY}Container {self._spec['name']} was using 2Gi, request is 1Gi."
        self._pod_reason = {"reason": "Evicted", "message": message}
        self._node_pod.record("Evicted", message, normal=False)

    def _be_lost(self, fault: PodFault) -> None:
        self._node_pod.remove()
        raise PodEndedError

    def _end(self, code: int, reason: str, message: str) -> None:
        """Write the status; remove a pod that is deleted, or is to be collected."""
        started_at = self._started_at

        def end(pod: dict[str, Any]) -> None:
            status = pod["status"]
            pod_status.terminated(
                status, self._spec, exit_code=code, reason=reason, started_at=started_at, message=message
            )
            if self._pod_reason:
                status.update(self._pod_reason, phase="Failed")
                pod_status.set_not_ready(status)
            if self._has_suffered and self.fault is not None and self.fault.without_status:
                del status["containerStatuses"]

        with self.cluster.changed:
            ended = self._node_pod.change(end)
            is_collected = self.fault is not None and self.fault.kind == "collected"
            is_done = is_collected and ended["status"]["phase"] == "Succeeded"
            if "deletionTimestamp" in ended["metadata"] or is_done:
                self._node_pod.remove()


_EFFECTS: Mapping[str, Callable[[PodRun, PodFault], None]] = {
    "killed": PodRun._be_killed,
    "oom": PodRun._run_out_of_memory,
    "evicted": PodRun._be_evicted,
    "lost": PodRun._be_lost,
}
