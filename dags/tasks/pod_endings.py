"""How a pod has ended, from its status. Pure.

Source of the fields: the API reference of Kubernetes, `v1` Pod.
"""

from dataclasses import dataclass
from typing import Any

from dags.tasks.task_messages import TOO_LONG

_OUT_OF_MEMORY = "OOMKilled"
# The program of the image does not exist, or cannot be run.
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})
# A signal ends a process with this and its number.
_SIGNALS, _LAST_SIGNAL = 128, 64
GONE = "the pod was deleted before Airflow saw its end: its node was lost, or somebody or something deleted it"


@dataclass(frozen=True)
class Ending:
    """What is known of the end of a pod.

    Attributes:
        exit_code: of the container; None where it has none: it never ran, or its node has lost it.
        message: what the container has left, see `pipeline.result`; without that, the end of its log.
        words: how it ended, for people.
    """

    exit_code: int | None
    message: str
    words: str


def ending(pod: Any, container: str) -> Ending:
    """How a pod has ended, or stands.

    Args:
        pod: a `V1Pod` of the client.
        container: the name of the container that counts.
    """
    status = pod.status
    state = _state(status, container)
    ended = getattr(state, "terminated", None)
    if ended is None:
        return Ending(None, "", _unfinished(pod, getattr(state, "waiting", None)))
    # An evicted pod was killed, whatever its container made of that.
    evicted = getattr(status, "reason", None)
    if evicted:
        return Ending(None, ended.message or "", _told(f"the pod failed: {evicted}", status.message))
    return Ending(ended.exit_code, ended.message or "", _terminated(ended))


def _terminated(ended: Any) -> str:
    code, reason = ended.exit_code, ended.reason
    if reason == _OUT_OF_MEMORY:
        return f"it was killed for want of memory ({_OUT_OF_MEMORY}): raise its limit, resources.limits.memory"
    if reason in _NOT_STARTED:
        return _told(f"its container did not start: {reason}", ended.message)
    if reason not in (None, "", "Error", "Completed"):
        return f"exit code {code}, {reason}"
    if _SIGNALS < code <= _SIGNALS + _LAST_SIGNAL:
        return f"it was killed by signal {code - _SIGNALS}"
    return f"exit code {code}"


def _state(status: Any, container: str) -> Any:
    statuses = getattr(status, "container_statuses", None) or ()
    return next((each.state for each in statuses if each.name == container), None)


def _unfinished(pod: Any, waiting: Any) -> str:
    status = pod.status
    if getattr(status, "reason", None):
        return _told(f"the pod failed: {status.reason}", status.message)
    if waiting is not None and waiting.reason:
        return _told(f"the pod never ran: {waiting.reason}", waiting.message)
    for condition in getattr(status, "conditions", None) or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return _told(f"no node takes the pod: {condition.reason}", condition.message)
    phase = getattr(status, "phase", "unknown")
    # Airflow cleans up a pod that runs only when the time of its task is over.
    return TOO_LONG if phase == "Running" else f"the pod did not start in time; its phase is {phase}"


def _told(what: str, message: str | None) -> str:
    return f"{what}: {message}" if message else what
