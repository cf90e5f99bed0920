"""The life of one pod on the node: scheduled, its image pulled, its process run, its status written."""

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
from tests.kubernetes.environment import ConfigError, container_argv, container_variables
from tests.kubernetes.events import SCHEDULER, record_event
from tests.kubernetes.faults import PodFault
from tests.kubernetes.images import Image
from tests.kubernetes.resources import PODS

POLL_SECONDS = 0.02
NODE = "node-1"
_RESULT_VARIABLE, _TERMINATION_LOG = "UNDERSTUDY_RESULT_FILE", "/dev/termination-log"
_NO_ROOM = (
    "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: "
    "3 No preemption victims found for incoming pod."
)
_NO_MEMORY = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61Mi. "
_OVERDUE = "Pod was active on the node longer than the specified deadline"


class PodEndedError(Exception):
    """Nothing is left to do: the pod is gone, or the double stops."""


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
    fault: PodFault | None
    message_file: Path
    services: Mapping[str, str]
    stopped: threading.Event
    argv: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    log: ContainerLog = field(default_factory=ContainerLog)
    has_started: bool = False

    def __post_init__(self) -> None:
        metadata = self.pod["metadata"]
        self.name, self.namespace, self.uid = metadata["name"], metadata["namespace"], metadata["uid"]
        self._spec = self.pod["spec"]["containers"][0]
        self._container: Container | None = None
        self._exit_reason = ""
        self._pod_reason: dict[str, str] = {}
        self._begin = time.monotonic()

    def __call__(self) -> None:
        try:
            self._live()
        except PodEndedError:
            pass
        finally:
            if self._container is not None:
                self._container.kill()
            self.log.end()

    def _live(self) -> None:
        self._schedule()
        self._pull()
        if not self._start():
            return
        code = self._observe()
        self._finish(code)

    def _schedule(self) -> None:
        if self._has("unschedulable"):
            assert self.fault is not None
            message = self.fault.message or _NO_ROOM
            self._change(lambda pod: pod.update(status=pod_status.unscheduled(message)))
            self._event("FailedScheduling", message, normal=False, component=SCHEDULER)
            self._stay()

        def bind(pod: dict[str, Any]) -> None:
            pod["spec"]["nodeName"] = NODE
            pod_status.scheduled(pod["status"])
            pod_status.waiting(pod["status"], self._spec, "ContainerCreating")

        self._change(bind)
        self._begin = time.monotonic()
        self._event("Scheduled", f"Successfully assigned {self.namespace}/{self.name} to {NODE}", component=SCHEDULER)

    def _pull(self) -> None:
        image = self._spec["image"]
        self._event("Pulling", f'Pulling image "{image}"')
        if image in self.images and not self._has("unpullable"):
            self._event("Pulled", f'Successfully pulled image "{image}" in 10ms (10ms including waiting)')
            return
        ordered = self.fault.message if self.fault is not None else ""
        problem = ordered or f'rpc error: code = NotFound desc = failed to pull "{image}": {image}: not found'
        self._wait_for_image("ErrImagePull", problem)
        self._event("Failed", f'Failed to pull image "{image}": {problem}', normal=False)
        self._event("Failed", "Error: ErrImagePull", normal=False)
        self._pause()
        back_off = f'Back-off pulling image "{image}"'
        self._event("BackOff", back_off)
        self._event("Failed", "Error: ImagePullBackOff", normal=False)
        self._wait_for_image("ImagePullBackOff", f"{back_off}: ErrImagePull: {problem}")
        self._stay()

    def _wait_for_image(self, reason: str, message: str) -> None:
        self._change(lambda pod: pod_status.waiting(pod["status"], self._spec, reason, message))

    def _start(self) -> bool:
        """False for a process that cannot start."""
        image = self.images[self._spec["image"]]
        given = self._variables()
        self.variables = {**image.env, "HOSTNAME": self.name, **given}
        self.argv = image.local(container_argv(self._spec, image.entrypoint, image.command, given))
        if self.variables.get(_RESULT_VARIABLE) == _TERMINATION_LOG:
            self.variables[_RESULT_VARIABLE] = str(self.message_file)
        self._event("Created", f"Created container: {self._spec['name']}")
        self._started_at = moments.now()
        directory = self._spec.get("workingDir") or str(image.directory)
        try:
            self._container = Container(
                self.argv, env=self.variables, directory=directory, message_file=self.message_file, log=self.log
            )
        except (OSError, IndexError) as error:
            self._fail_to_start(f"failed to create containerd task: failed to create shim task: {error}")
            return False
        self.has_started = True
        self._running_since = time.monotonic()
        self._change(lambda pod: pod_status.running(pod["status"], self._spec, started_at=self._started_at))
        self._event("Started", f"Started container {self._spec['name']}")
        return True

    def _variables(self) -> dict[str, str]:
        """Waits for what the pod refers to, as long as it does not exist."""
        seen = ""
        while True:
            try:
                pod = self._current()
                return container_variables(self.cluster, pod, self._spec, self.services)
            except ConfigError as error:
                message = str(error)
            if message != seen:
                seen = message
                self._wait_for_image("CreateContainerConfigError", message)
                self._event("Failed", f"Error: {message}", normal=False)
            self._pause()

    def _fail_to_start(self, problem: str) -> None:
        self._event("Failed", f"Error: {problem}", normal=False)
        self._end(128, "StartError", problem)

    def _observe(self) -> int:
        assert self._container is not None
        while (code := self._container.poll()) is None:
            pod = self.cluster.get(PODS, self.namespace, self.name)
            if self.stopped.is_set() or pod is None or pod["metadata"]["uid"] != self.uid:
                raise PodEndedError
            self._obey(pod)
            self._suffer()
            time.sleep(POLL_SECONDS)
        return code

    def _obey(self, pod: Mapping[str, Any]) -> None:
        """Stop a pod that is deleted, or has run for too long."""
        assert self._container is not None
        grace = float(pod["spec"]["terminationGracePeriodSeconds"])
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._stop(float(metadata["deletionGracePeriodSeconds"]))
        elif self._is_overdue(pod) and not self._pod_reason:
            self._pod_reason = {"reason": "DeadlineExceeded", "message": _OVERDUE}
            self._event("DeadlineExceeded", _OVERDUE, normal=False)
            self._stop(grace)

    def _stop(self, grace: float) -> None:
        assert self._container is not None
        if self._exit_reason != "Stopped":
            self._exit_reason = "Stopped"
            self._event("Killing", f"Stopping container {self._spec['name']}")
        self._container.stop(grace)

    def _suffer(self) -> None:
        """Have the fault that is ordered, when it is due."""
        fault = self.fault
        if fault is None or fault.kind not in _EFFECTS or not self._is_due(fault):
            return
        self.fault = None
        assert self._container is not None
        _EFFECTS[fault.kind](self, fault)
        self._container.stop(0)

    def _is_due(self, fault: PodFault) -> bool:
        late = time.monotonic() - self._running_since >= fault.after
        return late and (not fault.line or fault.line in self.log.text())

    def _be_killed(self, fault: PodFault) -> None:
        """SIGKILL is all."""

    def _run_out_of_memory(self, fault: PodFault) -> None:
        self._exit_reason = "OOMKilled"

    def _be_evicted(self, fault: PodFault) -> None:
        message = fault.message or f"{_NO_MEMORY}Container {self._spec['name']} was using 2Gi, request is 1Gi."
        self._pod_reason = {"reason": "Evicted", "message": message}
        self._event("Evicted", message, normal=False)
        if fault.without_status:
            self._exit_reason = "Gone"

    def _be_lost(self, fault: PodFault) -> None:
        self.cluster.remove(PODS, self.name, namespace=self.namespace, uid=self.uid)
        raise PodEndedError

    def _finish(self, code: int) -> None:
        assert self._container is not None
        reason = self._exit_reason if self._exit_reason == "OOMKilled" else ("Error" if code else "Completed")
        self._end(code, reason, self._container.message(self._spec["terminationMessagePolicy"], code))

    def _end(self, code: int, reason: str, message: str) -> None:
        started_at = self._started_at

        def end(pod: dict[str, Any]) -> None:
            status = pod["status"]
            pod_status.terminated(
                status, self._spec, exit_code=code, reason=reason, started_at=started_at, message=message
            )
            if self._pod_reason:
                status.update(self._pod_reason, phase="Failed")
                pod_status.set_not_ready(status)
            if self._exit_reason == "Gone":
                del status["containerStatuses"]

        with self.cluster.changed:
            ended = self._change(end)
            collected = self._has("collected") and ended["status"]["phase"] == "Succeeded"
            if "deletionTimestamp" in ended["metadata"] or collected:
                self.cluster.remove(PODS, self.name, namespace=self.namespace, uid=self.uid)

    def _stay(self) -> None:
        """Wait until the pod is deleted or its time is over; never returns."""
        while True:
            self._pause()

    def _pause(self) -> None:
        time.sleep(POLL_SECONDS)
        self._current()

    def _current(self) -> dict[str, Any]:
        """The pod before its container runs.

        Raises:
            PodEndedError: the pod is deleted, or its time is over.
        """
        pod = self.cluster.get(PODS, self.namespace, self.name)
        if self.stopped.is_set() or pod is None or pod["metadata"]["uid"] != self.uid:
            raise PodEndedError
        if "deletionTimestamp" in pod["metadata"]:
            self.cluster.remove(PODS, self.name, namespace=self.namespace, uid=self.uid)
            raise PodEndedError
        if "nodeName" in pod["spec"] and self._is_overdue(pod):
            reason = {"phase": "Failed", "reason": "DeadlineExceeded", "message": _OVERDUE}
            self._event("DeadlineExceeded", _OVERDUE, normal=False)
            self._change(lambda found: found["status"].update(reason))
            raise PodEndedError
        return pod

    def _is_overdue(self, pod: Mapping[str, Any]) -> bool:
        seconds = pod["spec"].get("activeDeadlineSeconds")
        return seconds is not None and time.monotonic() - self._begin >= seconds

    def _has(self, kind: str) -> bool:
        return self.fault is not None and self.fault.kind == kind

    def _change(self, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        changed = self.cluster.update(PODS, self.namespace, self.name, change, uid=self.uid)
        if changed is None:
            raise PodEndedError
        return changed

    def _event(self, reason: str, message: str, *, normal: bool = True, component: str = "kubelet") -> None:
        record_event(self.cluster, self.pod, reason, message, normal=normal, component=component)


_EFFECTS: Mapping[str, Callable[[PodRun, PodFault], None]] = {
    "killed": PodRun._be_killed,
    "oom": PodRun._run_out_of_memory,
    "evicted": PodRun._be_evicted,
    "lost": PodRun._be_lost,
}
