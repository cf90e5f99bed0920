"""What happens to a pod before its container starts: a node is found, the image is pulled, variables are computed."""

from collections.abc import Collection, Mapping
from typing import Any

from tests.kubernetes import pod_status
from tests.kubernetes.environment import ConfigError, container_variables
from tests.kubernetes.events import SCHEDULER
from tests.kubernetes.faults import PodFault
from tests.kubernetes.node_pod import NodePod

NODE = "node-1"
_NO_ROOM = (
    "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: "
    "3 No preemption victims found for incoming pod."
)


def schedule(pod: NodePod, fault: PodFault | None) -> None:
    """Give the pod a node.

    Raises:
        PodEndedError: the pod is deleted while it waits.
    """
    if fault is not None and fault.kind == "unschedulable":
        message = fault.message or _NO_ROOM
        pod.change(lambda found: found.update(status=pod_status.unscheduled(message)))
        pod.record("FailedScheduling", message, normal=False, component=SCHEDULER)
        pod.stay(fault.lasts, until=fault.until)

    def bind(found: dict[str, Any]) -> None:
        found["spec"]["nodeName"] = NODE
        pod_status.scheduled(found["status"])
        pod_status.waiting(found["status"], pod.container, "ContainerCreating")

    pod.change(bind)
    pod.become_active()
    pod.record("Scheduled", f"Successfully assigned {pod.namespace}/{pod.name} to {NODE}", component=SCHEDULER)


def pull(pod: NodePod, images: Collection[str], fault: PodFault | None) -> None:
    """Pull the image of the container.

    Raises:
        PodEndedError: the pod is deleted while it waits, or its time is over.
    """
    image = pod.container["image"]
    pod.record("Pulling", f'Pulling image "{image}"')
    if image not in images:
        _fail_to_pull(pod, f'rpc error: code = NotFound desc = failed to pull "{image}": {image}: not found', None)
    elif fault is not None and fault.kind == "unpullable":
        problem = f'rpc error: code = Unknown desc = failed to pull "{image}": unexpected status: 403 Forbidden'
        _fail_to_pull(pod, fault.message or problem, fault.lasts)
    pod.record("Pulled", f'Successfully pulled image "{image}" in 10ms (10ms including waiting)')


def variables(pod: NodePod, services: Mapping[str, str]) -> dict[str, str]:
    """Those that the pod gives to its container. Waits for a Secret or a ConfigMap, as long as it does not exist.

    Raises:
        PodEndedError: the pod is deleted while it waits, or its time is over.
    """
    seen = ""
    while True:
        try:
            return container_variables(pod.cluster, pod.waiting(), pod.container, services)
        except ConfigError as error:
            message = str(error)
        if message != seen:
            seen = message
            pod.wait_because("CreateContainerConfigError", message)
            pod.record("Failed", f"Error: {message}", normal=False)
        pod.pause()


def _fail_to_pull(pod: NodePod, problem: str, seconds: float | None) -> None:
    image = pod.container["image"]
    pod.wait_because("ErrImagePull", problem)
    pod.record("Failed", f'Failed to pull image "{image}": {problem}', normal=False)
    pod.record("Failed", "Error: ErrImagePull", normal=False)
    pod.pause()
    back_off = f'Back-off pulling image "{image}"'
    pod.record("BackOff", back_off)
    pod.record("Failed", "Error: ImagePullBackOff", normal=False)
    pod.wait_because("ImagePullBackOff", f"{back_off}: ErrImagePull: {problem}")
    pod.stay(seconds)
