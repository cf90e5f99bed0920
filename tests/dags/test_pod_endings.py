"""How a pod has ended, from what the API of Kubernetes answers, read by its own client."""

import json
from typing import Any

import pytest

from dags.tasks.pod_endings import Ending, ending


def pod(**status: Any) -> Any:
    """As the client reads it."""
    from kubernetes.client import ApiClient

    class Answer:
        data = json.dumps({"metadata": {"name": "step"}, "status": status})

    return ApiClient().deserialize(Answer(), "V1Pod")


def container(name: str = "train", **state: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": "pipeline",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }


def terminated(code: int, reason: str, message: str | None = None) -> dict[str, Any]:
    return container(terminated={"exitCode": code, "reason": reason, "message": message})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (terminated(0, "Completed", "{}"), Ending(0, "{}", "exit code 0")),
        (terminated(99, "Error"), Ending(99, "", "exit code 99")),
        (terminated(137, "Error", "the log"), Ending(137, "the log", "it was killed by signal 9")),
        (terminated(255, "Error"), Ending(255, "", "exit code 255")),
        (
            terminated(137, "OOMKilled"),
            Ending(137, "", "it was killed for want of memory (OOMKilled): raise its limit, resources.limits.memory"),
        ),
        (
            terminated(128, "StartError", "exec: no such file"),
            Ending(128, "exec: no such file", "its container did not start: StartError: exec: no such file"),
        ),
        (terminated(137, "ContainerStatusUnknown"), Ending(137, "", "exit code 137, ContainerStatusUnknown")),
    ],
)
def test_a_container_that_has_ended_has_a_code_a_message_and_words(state: Any, expected: Ending) -> None:
    assert expected == ending(pod(phase="Failed", containerStatuses=[container("sidecar"), state]), "train")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "no memory",
                "containerStatuses": [terminated(0, "Completed")],
            },
            "the pod failed: Evicted: no memory",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "no memory"}, "the pod failed: Evicted: no memory"),
        ({"phase": "Failed", "reason": "NodeLost"}, "the pod failed: NodeLost"),
        (
            {
                "phase": "Pending",
                "containerStatuses": [container(waiting={"reason": "ErrImagePull", "message": "403"})],
            },
            "the pod never ran: ErrImagePull: 403",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
                ],
            },
            "no node takes the pod: Unschedulable: no room",
        ),
        ({"phase": "Pending"}, "the pod did not start in time; its phase is Pending"),
        (
            {"phase": "Running", "containerStatuses": [container(running={"startedAt": "2026-01-02T03:04:05Z"})]},
            "it took longer than its task may, see execution_timeout in the details of the task",
        ),
    ],
)
def test_a_pod_without_an_answer_of_its_container_says_why(status: Any, words: str) -> None:
    assert Ending(None, "", words) == ending(pod(**status), "train")
