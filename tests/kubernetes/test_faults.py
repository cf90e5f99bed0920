"""Each fault that a test can order, as a client sees it."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from urllib3.exceptions import HTTPError, ProtocolError

from tests.kubernetes.api import TOKEN, KubernetesApi
from tests.kubernetes.faults import PodFault, PodFaultKind, RequestFault, parse_pod_fault
from tests.kubernetes.manifests import NAMESPACE, log_of, shell_pod, wait_for
from tests.kubernetes.resources import PODS

Run = Callable[[Any], Any]
FOR_LONG = "echo epoch 1; echo epoch 2; sleep 60"


@pytest.fixture
def unretried(core: Any) -> Any:
    """The client without retries of its own."""
    core.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return core


def ended(run: Run, api: KubernetesApi, fault: PodFault) -> Any:
    api.faults.order(fault)
    return run(shell_pod(FOR_LONG))


def state(pod: Any) -> Any:
    return pod.status.container_statuses[0].state


def events(core: Any) -> list[tuple[str, str]]:
    return [(each.type, each.reason) for each in core.list_namespaced_event(NAMESPACE).items]


def test_a_killed_container(api: KubernetesApi, run: Run) -> None:
    pod = ended(run, api, PodFault(kind="killed", line="epoch 2"))

    assert ("Failed", 137, "Error") == (pod.status.phase, state(pod).terminated.exit_code, state(pod).terminated.reason)
    assert "epoch 2" in api.kubelet.runs[0].log.text()


def test_a_container_without_memory(api: KubernetesApi, run: Run) -> None:
    pod = ended(run, api, PodFault(kind="oom", after=0.1))

    assert (137, "OOMKilled") == (state(pod).terminated.exit_code, state(pod).terminated.reason)


@pytest.mark.parametrize("without_status", [False, True])
def test_an_evicted_pod(api: KubernetesApi, core: Any, run: Run, without_status: bool) -> None:
    pod = ended(run, api, PodFault(kind="evicted", without_status=without_status))

    assert ("Failed", "Evicted") == (pod.status.phase, pod.status.reason)
    assert "The node was low on resource: memory" in pod.status.message
    assert without_status == (pod.status.container_statuses is None)
    assert ("Warning", "Evicted") in events(core)


def test_a_pod_whose_node_is_lost(api: KubernetesApi, core: Any) -> None:
    api.faults.order(PodFault(kind="lost", line="epoch 1"))
    core.create_namespaced_pod(NAMESPACE, shell_pod(FOR_LONG))

    wait_for(lambda: not core.list_namespaced_pod(NAMESPACE).items)
    wait_for(lambda: api.kubelet.runs[0].log.ended)
    assert "Running" == api.cluster.changes[-1].content["status"]["phase"]


def test_a_pod_that_is_collected_when_it_has_succeeded(api: KubernetesApi, core: Any) -> None:
    api.faults.order(PodFault(kind="collected"))
    core.create_namespaced_pod(NAMESPACE, shell_pod("echo done"))

    wait_for(lambda: not core.list_namespaced_pod(NAMESPACE).items)
    assert "done\n" == api.kubelet.runs[0].log.text()
    last = [each.content for each in api.cluster.changes if each.resource == PODS][-1]
    assert "Succeeded" == last["status"]["phase"]


def test_an_image_that_cannot_be_pulled(api: KubernetesApi, core: Any) -> None:
    api.faults.order(PodFault(kind="unpullable", message="too many requests"))
    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))

    def waits() -> Any:
        pod = core.read_namespaced_pod("step", NAMESPACE)
        is_waiting = pod.status.container_statuses and state(pod).waiting.reason == "ImagePullBackOff"
        return pod if is_waiting else None

    pod = wait_for(waits)
    assert "Pending" == pod.status.phase
    assert "too many requests" in state(pod).waiting.message
    states = [each.content["status"].get("containerStatuses") for each in api.cluster.changes if each.resource == PODS]
    assert ["ContainerCreating", "ErrImagePull", "ImagePullBackOff"] == [
        each[0]["state"]["waiting"]["reason"] for each in states if each
    ]
    assert [("Warning", "Failed"), ("Warning", "Failed"), ("Normal", "BackOff"), ("Warning", "Failed")] == events(core)[
        2:
    ]
    core.delete_namespaced_pod("step", NAMESPACE)
    wait_for(lambda: not core.list_namespaced_pod(NAMESPACE).items)


def test_a_pod_that_no_node_has_room_for(api: KubernetesApi, core: Any) -> None:
    api.faults.order(PodFault(kind="unschedulable"))
    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))
    wait_for(lambda: events(core))
    pod = core.read_namespaced_pod("step", NAMESPACE)
    (condition,) = pod.status.conditions

    assert ("Pending", None) == (pod.status.phase, pod.status.container_statuses)
    assert ("PodScheduled", "False", "Unschedulable") == (condition.type, condition.status, condition.reason)
    assert "Insufficient nvidia.com/gpu" in condition.message
    assert [("Warning", "FailedScheduling")] == events(core)
    core.delete_namespaced_pod("step", NAMESPACE)
    assert [] == core.list_namespaced_pod(NAMESPACE).items


@pytest.mark.parametrize("kind", ["unpullable", "unschedulable"])
def test_a_pod_that_starts_after_all(api: KubernetesApi, core: Any, run: Run, kind: PodFaultKind) -> None:
    """...as when a node is added for it, or a registry answers again."""
    api.faults.order(PodFault(kind=kind, lasts=0.1))

    assert "Succeeded" == run(shell_pod("true")).status.phase
    assert ("Warning", "Failed" if kind == "unpullable" else "FailedScheduling") in events(core)


def test_a_pod_that_waits_until_something_is_so(api: KubernetesApi, core: Any) -> None:
    is_so = threading.Event()
    api.faults.order(PodFault(kind="unschedulable", until=is_so.is_set))
    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))
    wait_for(lambda: core.read_namespaced_pod("step", NAMESPACE).status.conditions)
    assert core.read_namespaced_pod("step", NAMESPACE).spec.node_name is None

    is_so.set()

    wait_for(lambda: core.read_namespaced_pod("step", NAMESPACE).status.phase == "Succeeded")


def test_a_fault_that_is_ordered_while_the_pod_runs(api: KubernetesApi, core: Any) -> None:
    core.create_namespaced_pod(NAMESPACE, shell_pod(FOR_LONG))
    wait_for(lambda: "epoch 2" in api.kubelet.runs[0].log.text())
    api.faults.order(PodFault(kind="oom"), PodFault(kind="killed"))

    wait_for(lambda: core.read_namespaced_pod("step", NAMESPACE).status.phase == "Failed")
    assert "OOMKilled" == state(core.read_namespaced_pod("step", NAMESPACE)).terminated.reason
    assert [0, 1] == [each.times for each in api.faults.pods]


def test_a_fault_is_of_the_pods_of_a_verb_and_of_so_many(api: KubernetesApi, run: Run) -> None:
    api.faults.order(fault := PodFault(kind="killed", verb="train", times=1, line="go"))
    seconds = {"probe-1": 0.2, "probe-2": 0.2, "train-1": 60, "train-2": 0.2}
    phases = [
        run(shell_pod(f"echo go; sleep {wait}", name=name, verb=name.partition("-")[0])).status.phase
        for name, wait in seconds.items()
    ]

    assert ["Succeeded", "Succeeded", "Failed", "Succeeded"] == phases
    assert 1 == fault.met


def test_faults_are_written_as_words() -> None:
    found = parse_pod_fault("killed:verb=train:times=always:line=epoch 2")

    assert ("killed", "train", None, "epoch 2") == (found.kind, found.verb, found.times, found.line)
    with pytest.raises(ValueError, match="is no fault"):
        parse_pod_fault("asleep")


@pytest.mark.parametrize(("status", "times"), [(500, 2), (429, 1), (401, 1)])
def test_answers_that_are_errors_for_some_requests(api: KubernetesApi, unretried: Any, status: int, times: int) -> None:
    from kubernetes.client import ApiException

    api.faults.order(RequestFault(status=status, times=times, retry_after=1, resources=[PODS]))
    for _ in range(times):
        with pytest.raises(ApiException) as failed:
            unretried.list_namespaced_pod(NAMESPACE)
        assert (status, "1") == (failed.value.status, failed.value.headers["Retry-After"])
    unretried.list_namespaced_event(NAMESPACE)
    assert [] == unretried.list_namespaced_pod(NAMESPACE).items


def test_an_answer_with_a_message_of_its_own_and_how_many_requests_had_it(api: KubernetesApi, unretried: Any) -> None:
    from kubernetes.client import ApiException

    api.faults.order(fault := RequestFault(status=403, message="exceeded quota: pods", verbs=["list"]))
    for _ in range(2):
        with pytest.raises(ApiException) as failed:
            unretried.list_namespaced_pod(NAMESPACE)
        assert "exceeded quota: pods" == json.loads(failed.value.body)["message"]
    assert 2 == fault.met


def test_answers_that_are_errors_for_some_time(api: KubernetesApi, unretried: Any) -> None:
    from kubernetes.client import ApiException

    api.faults.order(RequestFault(status=503, seconds=0.2, verbs=["list"]))
    with pytest.raises(ApiException, match="503"):
        unretried.list_namespaced_pod(NAMESPACE)
    time.sleep(0.2)
    assert [] == unretried.list_namespaced_pod(NAMESPACE).items


def test_an_api_that_cannot_be_reached(api: KubernetesApi, unretried: Any) -> None:
    assert [] == unretried.list_namespaced_pod(NAMESPACE).items
    api.faults.make_unreachable(60)
    for _ in range(2):
        with pytest.raises(HTTPError):
            unretried.list_namespaced_pod(NAMESPACE)
    api.faults.clear()
    assert [] == unretried.list_namespaced_pod(NAMESPACE).items


def test_a_request_that_is_lost(api: KubernetesApi, unretried: Any) -> None:
    api.faults.order(RequestFault(verbs=["create"], times=1))
    with pytest.raises(HTTPError):
        unretried.create_namespaced_pod(NAMESPACE, shell_pod("true"))
    assert [] == unretried.list_namespaced_pod(NAMESPACE).items


def test_a_request_that_is_carried_out_and_whose_answer_is_lost(api: KubernetesApi, unretried: Any) -> None:
    api.faults.order(RequestFault(verbs=["create"], times=1, done=True))
    with pytest.raises(HTTPError):
        unretried.create_namespaced_pod(NAMESPACE, shell_pod("true"))
    assert ["step"] == [each.metadata.name for each in unretried.list_namespaced_pod(NAMESPACE).items]


def test_a_log_that_is_cut(api: KubernetesApi, core: Any, run: Run) -> None:
    run(shell_pod("echo 1; echo 2; echo 3"))
    api.faults.order(RequestFault(resources=["pods/log"], cut_after=2, times=1))
    with core.read_namespaced_pod_log("step", NAMESPACE, _preload_content=False) as answer:
        lines = answer.stream(amt=None)
        assert [b"1\n", b"2\n"] == [next(lines), next(lines)]
        with pytest.raises(ProtocolError):
            next(lines)
    assert "1\n2\n3\n" == log_of(core)


def test_a_watch_that_is_cut(api: KubernetesApi, core: Any, run: Run) -> None:
    from kubernetes import watch

    run(shell_pod("true"))
    api.faults.order(RequestFault(verbs=["watch"], cut_after=3, times=1))
    events = watch.Watch().stream(core.list_namespaced_event, NAMESPACE, timeout_seconds=600)
    assert ["Scheduled", "Pulling", "Pulled"] == [next(events)["object"].reason for _ in range(3)]
    with pytest.raises(ProtocolError):
        next(events)


def test_a_missing_right(api: KubernetesApi, core: Any) -> None:
    from kubernetes.client import ApiException

    api.rights[TOKEN] = set(api.rights[TOKEN]) - {("create", PODS)}
    with pytest.raises(ApiException) as forbidden:
        core.create_namespaced_pod(NAMESPACE, shell_pod("true"))

    assert 403 == forbidden.value.status
    assert 'cannot create resource \\"pods\\"' in forbidden.value.body
