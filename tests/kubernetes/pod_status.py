"""The parts of a pod's status, as the kubelet writes them."""

from collections.abc import Mapping
from typing import Any

from tests.kubernetes import moments

NODE_ADDRESS, POD_ADDRESS = "10.0.0.1", "10.1.0.1"


def condition(kind: str, holds: bool, *, reason: str = "", message: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "status": str(holds), "lastTransitionTime": moments.now()}
    return {**found, **({"reason": reason} if reason else {}), **({"message": message} if message else {})}


def set_conditions(status: dict[str, Any], *conditions: Mapping[str, Any]) -> None:
    """Replace conditions of the same type; one that does not change keeps its time."""
    by_kind = {each["type"]: each for each in status.get("conditions") or ()}
    for each in conditions:
        before = by_kind.get(each["type"], {})
        same_time = (
            {} if before.get("status") != each["status"] else {"lastTransitionTime": before["lastTransitionTime"]}
        )
        by_kind[each["type"]] = {**each, **same_time}
    status["conditions"] = list(by_kind.values())


def unscheduled(message: str) -> dict[str, Any]:
    return {
        "phase": "Pending",
        "conditions": [condition("PodScheduled", False, reason="Unschedulable", message=message)],
    }


def scheduled(status: dict[str, Any]) -> None:
    status.update(phase="Pending", startTime=moments.now(), hostIP=NODE_ADDRESS)
    waits = {"reason": "ContainersNotReady", "message": "containers with unready status"}
    set_conditions(
        status,
        condition("PodScheduled", True),
        condition("Initialized", True),
        condition("Ready", False, **waits),
        condition("ContainersReady", False, **waits),
    )


def waiting(status: dict[str, Any], container: Mapping[str, Any], reason: str, message: str = "") -> None:
    state = {"reason": reason, **({"message": message} if message else {})}
    status["containerStatuses"] = [_container_status(container, {"waiting": state}, started=False)]


def running(status: dict[str, Any], container: Mapping[str, Any], *, started_at: str) -> None:
    state = {"running": {"startedAt": started_at}}
    status.update(phase="Running", podIP=POD_ADDRESS, podIPs=[{"ip": POD_ADDRESS}])
    status["containerStatuses"] = [_container_status(container, state, started=True)]
    set_conditions(status, condition("Ready", True), condition("ContainersReady", True))


def terminated(
    status: dict[str, Any], container: Mapping[str, Any], *, exit_code: int, reason: str, started_at: str, message: str
) -> None:
    ended: dict[str, Any] = {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": started_at,
        "finishedAt": moments.now(),
        "containerID": _container_id(container),
        **({"message": message} if message else {}),
    }
    status["phase"] = "Succeeded" if exit_code == 0 else "Failed"
    status["containerStatuses"] = [_container_status(container, {"terminated": ended}, started=False)]
    set_not_ready(status)


def set_not_ready(status: dict[str, Any]) -> None:
    reason = "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed"
    set_conditions(status, condition("Ready", False, reason=reason), condition("ContainersReady", False, reason=reason))


def _container_status(container: Mapping[str, Any], state: Mapping[str, Any], *, started: bool) -> dict[str, Any]:
    exists = "waiting" not in state
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"sha256:of-{container['image']}" if exists else "",
        **({"containerID": _container_id(container)} if exists else {}),
        "ready": started,
        "started": started,
        "restartCount": 0,
        "state": dict(state),
        "lastState": {},
    }


def _container_id(container: Mapping[str, Any]) -> str:
    return f"containerd://{container['name']}"
