"""Which try of a task may delete its pod: the newest one. The operator is the real one, the cluster is the double."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodNotFoundException
from kubernetes.client import CoreV1Api, V1ObjectMeta, V1Pod  # noqa: TID253 - what the operator uses
from kubernetes.config import new_client_from_config  # noqa: TID253

from dags.tasks.pods import PodVerbOperator
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.faults import PodFault
from tests.kubernetes.manifests import IMAGES, NAMESPACE, shell_pod, wait_for
from tests.kubernetes.resources import PODS

NAME = "train"
POD = V1Pod(metadata=V1ObjectMeta(name=NAME, namespace=NAMESPACE))
Operator = Callable[[int], Any]


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi(Cluster(namespaces={NAMESPACE}), images=IMAGES) as running:
        yield running


@pytest.fixture
def operator(api: KubernetesApi, tmp_path: Path) -> Iterator[Operator]:
    """Makes one that works at a try of its task."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(api.kubeconfig(namespace=NAMESPACE), encoding="utf-8")
    with new_client_from_config(str(kubeconfig)) as connection:

        def made(try_number: int) -> Any:
            found = PodVerbOperator(verb="train", task_id="train", name=NAME, durable=False)
            found.client, found._try = CoreV1Api(connection), try_number
            return found

        yield made


def manifest(*, of_try: int) -> V1Pod:
    pod = shell_pod("sleep 100", name=NAME)
    pod["metadata"] |= {"namespace": NAMESPACE, "labels": {"try_number": str(of_try)}}
    return V1Pod(metadata=V1ObjectMeta(**pod["metadata"]), spec=pod["spec"])


def existing(api: KubernetesApi) -> Any:
    return api.cluster.get(PODS, NAMESPACE, NAME)


def is_staying(api: KubernetesApi) -> bool:
    pod = existing(api)
    return pod is not None and "deletionTimestamp" not in pod["metadata"]


@pytest.mark.parametrize(("of_pod", "of_task", "stays"), [(1, 1, False), (1, 2, False), (2, 1, True), (10, 9, True)])
def test_a_task_that_is_killed_leaves_the_pod_of_a_later_try(
    api: KubernetesApi, operator: Operator, of_pod: int, of_task: int, *, stays: bool
) -> None:
    task = operator(of_task)
    task.client.create_namespaced_pod(NAMESPACE, manifest(of_try=of_pod))
    task.pod = POD

    task.on_kill()

    assert stays == is_staying(api)


@pytest.mark.parametrize(("of_pod", "of_task", "stays"), [(1, 1, False), (1, 2, False), (2, 1, True), (10, 9, True)])
def test_a_task_that_has_ended_leaves_the_pod_of_a_later_try(
    api: KubernetesApi, operator: Operator, of_pod: int, of_task: int, *, stays: bool
) -> None:
    task = operator(of_task)
    task.client.create_namespaced_pod(NAMESPACE, manifest(of_try=of_pod))

    assert stays != task.process_pod_deletion(task.client.read_namespaced_pod(NAME, NAMESPACE))
    assert stays == is_staying(api)


def test_a_try_that_goes_on_with_a_pod_says_that_it_is_its_own(api: KubernetesApi, operator: Operator) -> None:
    task = operator(2)
    task.client.create_namespaced_pod(NAMESPACE, manifest(of_try=1))

    task._take_over(task.client.read_namespaced_pod(NAME, NAMESPACE))

    assert "2" == existing(api)["metadata"]["labels"]["try_number"]


def test_a_task_that_is_killed_when_its_pod_is_gone_ends_without_another_error(operator: Operator) -> None:
    task = operator(1)
    task.pod = POD

    task.on_kill()


@contextmanager
def killed_when(is_so: Callable[[], bool], on_kill: Callable[[], None]) -> Iterator[None]:
    """As Airflow kills a task: a signal comes while the main thread works, and its handler calls `on_kill`."""

    def wait() -> None:
        wait_for(is_so)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: on_kill())
    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("faults", [[], [PodFault(kind="unschedulable")]], ids=["running", "pending"])
def test_a_task_that_is_killed_while_it_waits_for_its_pod_deletes_it(
    api: KubernetesApi, operator: Operator, faults: list[PodFault]
) -> None:
    api.faults.order(*faults)
    task = operator(1)
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{NAME}"

    with pytest.raises(PodNotFoundException), killed_when(lambda: path in api.asked, task.on_kill):
        task.get_or_create_pod(manifest(of_try=1), {})

    assert existing(api) is None
