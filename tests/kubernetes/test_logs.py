"""The log of a pod: which lines, in which form, and when."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubernetes import moments
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.container_log import Line
from tests.kubernetes.faults import PodFault
from tests.kubernetes.manifests import NAMESPACE, log_of, shell_pod, wait_for

Run = Callable[[Any], Any]


def test_time_stamps_have_nine_decimals(core: Any, run: Run) -> None:
    run(shell_pod("echo one; echo; printf end"))

    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    assert re.fullmatch(rf"{stamp} one\n{stamp} \n{stamp} end", log_of(core, timestamps=True))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "1\n2\n3\n"),
        ({"container": "base"}, "1\n2\n3\n"),
        ({"tail_lines": 2}, "2\n3\n"),
        ({"tail_lines": 0}, ""),
        ({"tail_lines": 9}, "1\n2\n3\n"),
        ({"limit_bytes": 3}, "1\n2"),
        ({"since_seconds": 3600}, "1\n2\n3\n"),
        ({"follow": True}, "1\n2\n3\n"),
        ({"follow": True, "tail_lines": 1}, "3\n"),
    ],
)
def test_a_part_of_a_log(core: Any, run: Run, query: dict[str, Any], expected: str) -> None:
    run(shell_pod("echo 1; echo 2; echo 3 >&2"))
    assert expected == log_of(core, **query)


def test_only_lines_since_a_moment(api: KubernetesApi, core: Any, run: Run) -> None:
    """The client cannot send `sinceTime`; kubectl does."""
    run(shell_pod("echo 1; echo 2"))
    api.kubelet.runs[0].log.lines[0] = Line(moments.parse("2020-01-01T00:00:00Z"), b"1\n")
    since = "2020-01-01T00:00:00.5Z"
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/step/log"
    found = core.api_client.call_api(
        path, "GET", query_params=[("sinceTime", since)], auth_settings=["BearerToken"], _preload_content=False
    )

    assert b"2\n" == found.data
    assert "2\n" == log_of(core, since_seconds=3600)
    assert "1\n2\n" == log_of(core)


def test_lines_are_there_while_the_process_runs(core: Any) -> None:
    """The process ends only when it is deleted, after its line was read."""
    core.create_namespaced_pod(NAMESPACE, shell_pod("echo one; echo two; sleep 60"))
    wait_for(lambda: core.read_namespaced_pod("step", NAMESPACE).status.phase == "Running")
    with core.read_namespaced_pod_log("step", NAMESPACE, follow=True, _preload_content=False) as answer:
        assert [b"one\n", b"two\n"] == [answer.readline(), answer.readline()]
        core.delete_namespaced_pod("step", NAMESPACE)
        assert b"" == answer.readline()


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"container": "sidecar"}, 400, "container sidecar is not valid for pod step"),
        ({"tail_lines": -1}, 422, "tailLines: Invalid value: -1"),
    ],
)
def test_a_wrong_question(core: Any, run: Run, query: dict[str, Any], status: int, message: str) -> None:
    from kubernetes.client import ApiException

    run(shell_pod("true"))
    with pytest.raises(ApiException) as refused:
        log_of(core, **query)

    assert status == refused.value.status
    assert message in refused.value.body


def test_a_container_that_waits_has_no_log(api: KubernetesApi, core: Any) -> None:
    from kubernetes.client import ApiException

    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "none", "key": "key"}}}]
    core.create_namespaced_pod(NAMESPACE, shell_pod("true", name="waits", container={"env": env}))
    core.create_namespaced_pod(NAMESPACE, shell_pod("true", name="pulls", container={"image": "none"}))
    for name, problem in (
        ("waits", 'container \\"base\\" in pod \\"waits\\" is waiting to start: CreateContainerConfigError'),
        ("pulls", 'container \\"base\\" in pod \\"pulls\\" is trying and failing to pull image'),
    ):
        wait_for(lambda name=name: _has_problem(core, name))  # type: ignore[misc]
        with pytest.raises(ApiException) as refused:
            log_of(core, name)
        assert 400 == refused.value.status
        assert problem in refused.value.body


def _has_problem(core: Any, name: str) -> bool:
    statuses = core.read_namespaced_pod(name, NAMESPACE).status.container_statuses
    return bool(statuses) and statuses[0].state.waiting.reason != "ContainerCreating"


def test_a_pod_without_a_node_has_an_empty_log(api: KubernetesApi, core: Any) -> None:
    api.faults.order(PodFault(kind="unschedulable"))
    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))

    assert "" == log_of(core)
