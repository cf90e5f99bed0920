"""Watches of pods and of events, with both clients."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.manifests import NAMESPACE, shell_pod, wait_for
from tests.kubernetes.resources import PODS

Run = Callable[[Any], Any]


def seen(core: Any, **query: Any) -> list[tuple[str, str]]:
    """Types and names of what a watch of pods shows within a second."""
    from kubernetes import watch

    events = watch.Watch().stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=1, **query)
    return [(each["type"], each["object"].metadata.name) for each in events]


def test_a_watch_begins_with_what_is_there(core: Any, run: Run) -> None:
    run(shell_pod("true", name="one"))
    run(shell_pod("true", name="two", verb="probe"))

    assert [("ADDED", "one"), ("ADDED", "two")] == seen(core)
    assert [("ADDED", "two")] == seen(core, label_selector="understudy/verb=probe", resource_version="0")


def test_a_watch_continues_after_a_version(api: KubernetesApi, core: Any, run: Run) -> None:
    version = core.list_namespaced_pod(NAMESPACE).metadata.resource_version
    run(shell_pod("true"))
    core.delete_namespaced_pod("step", NAMESPACE)
    types = [kind for kind, _ in seen(core, resource_version=version)]

    assert ("ADDED", "DELETED") == (types[0], types[-1])
    assert {"MODIFIED"} == set(types[1:-1])
    assert [] == seen(core, resource_version=str(api.cluster.version))


def test_an_object_enters_and_leaves_the_view_of_a_selector(core: Any, run: Run) -> None:
    version = run(shell_pod("true")).metadata.resource_version
    for value in ("1", "2"):
        core.patch_namespaced_pod("step", NAMESPACE, {"metadata": {"labels": {"shown": value}}})

    assert [("ADDED", "step"), ("DELETED", "step")] == seen(core, resource_version=version, label_selector="shown=1")


def test_the_events_of_a_watch_come_at_once(core: Any) -> None:
    """...not when it ends: the time of this one is longer than the limit of a test."""
    from kubernetes import watch

    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))
    watcher = watch.Watch()
    for each in watcher.stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=600):
        if each["object"].status.phase == "Succeeded":
            break
    watcher.stop()


def test_a_version_whose_changes_are_forgotten_is_gone(api: KubernetesApi, core: Any, run: Run) -> None:
    from kubernetes import client

    run(shell_pod("true"))
    api.cluster.forget_changes()
    with pytest.raises(client.ApiException) as gone:
        seen(core, resource_version="2")

    assert 410 == gone.value.status
    assert "too old resource version: 2" in gone.value.reason


def test_a_bookmark_tells_the_version_at_the_end(api: KubernetesApi, core: Any, run: Run) -> None:
    from kubernetes import watch

    run(shell_pod("true"))
    events = watch.Watch().stream(
        core.list_namespaced_pod,
        NAMESPACE,
        timeout_seconds=1,
        allow_watch_bookmarks=True,
        resource_version=str(api.cluster.version),
    )
    (bookmark,) = list(events)

    assert "BOOKMARK" == bookmark["type"]
    assert str(api.cluster.version) == bookmark["raw_object"]["metadata"]["resourceVersion"]


def test_a_client_that_leaves_ends_its_watch(core: Any) -> None:
    answer = core.list_namespaced_pod(NAMESPACE, watch=True, _preload_content=False)
    wait_for(is_asked)
    answer.connection.close()
    answer.release_conn()

    wait_for(lambda: not is_asked())


def is_asked() -> bool:
    """Whether the server has a thread for a client."""
    return any("process_request_thread" in each.name for each in threading.enumerate())


def test_the_asynchronous_client_reads_a_pod_its_events_and_its_log(kubeconfig: Path, core: Any, run: Run) -> None:
    """As the trigger of Airflow's provider does."""
    version = core.list_namespaced_pod(NAMESPACE).metadata.resource_version
    uid = run(shell_pod("echo hello")).metadata.uid
    pod, reasons, log = asyncio.run(_ask(kubeconfig, version))

    assert uid == pod.metadata.uid
    assert ["Scheduled", "Pulling", "Pulled", "Created", "Started"] == reasons
    assert b"Z hello\n" == log[-8:]


async def _ask(kubeconfig: Path, version: str) -> tuple[Any, list[str], bytes]:
    from kubernetes_asyncio import client, config, watch  # noqa: PLC0415 - slow

    configuration = client.Configuration()
    await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration=configuration) as connection:
        core = client.CoreV1Api(connection)
        pod = await core.read_namespaced_pod(name="step", namespace=NAMESPACE)
        async with watch.Watch() as watcher:
            events = watcher.stream(
                core.list_namespaced_event,
                namespace=NAMESPACE,
                field_selector="involvedObject.name=step",
                resource_version=version,
                timeout_seconds=1,
            )
            reasons = [each["object"].reason async for each in events]
        answer: Any = await core.read_namespaced_pod_log(
            name="step",
            namespace=NAMESPACE,
            container="base",
            timestamps=True,
            since_seconds=60,
            _preload_content=False,
        )
        log = await answer.read()
        await core.delete_namespaced_pod(
            name="step", namespace=NAMESPACE, body=client.V1DeleteOptions(grace_period_seconds=None)
        )
    return pod, reasons, log


def test_every_change_is_a_new_version(api: KubernetesApi, run: Run) -> None:
    run(shell_pod("true"))
    versions = [each.version for each in api.cluster.changes]

    assert list(range(2, 2 + len(versions))) == versions
    assert {str(each.version) for each in api.cluster.changes if each.resource == PODS} == {
        each.content["metadata"]["resourceVersion"] for each in api.cluster.changes if each.resource == PODS
    }
