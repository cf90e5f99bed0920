"""Create, patch and delete, as Kubernetes' own client sees them."""

import json
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.manifests import IMAGES, NAMESPACE, log_of, shell_pod, wait_for
from tests.kubernetes.objects import service_account
from tests.kubernetes.resources import PODS, SERVICE_ACCOUNTS

Run = Callable[[Any], Any]
STUBBORN = "trap 'echo stays' TERM; echo begun; while :; do sleep 0.05; done"


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Status, reason and message of the answer."""
    from kubernetes.client import ApiException

    with pytest.raises(ApiException) as refused:
        call()
    body = json.loads(refused.value.body)
    return refused.value.status, body["reason"], body["message"]


def test_a_second_pod_of_the_same_name_is_a_conflict(core: Any) -> None:
    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))

    again = refusal(lambda: core.create_namespaced_pod(NAMESPACE, shell_pod("true")))
    assert (409, "AlreadyExists", 'pods "step" already exists') == again


def test_names_are_generated(core: Any) -> None:
    manifest = shell_pod("true")
    manifest["metadata"] = {"generateName": "step-"}
    first, second = (core.create_namespaced_pod(NAMESPACE, manifest).metadata.name for _ in range(2))

    assert first != second
    assert (10, "step-") == (len(first), first[:5])


CONTAINER = {"name": "base", "image": next(iter(IMAGES))}


@pytest.mark.parametrize(
    ("spec", "status", "problem"),
    [
        ({"containers": []}, 422, "spec.containers: Required value"),
        ({"containers": [{"name": "base"}]}, 422, "spec.containers[0].image: Required value"),
        ({"containers": [{"image": "x"}]}, 422, "spec.containers[0].name: Required value"),
        ({"containers": [{**CONTAINER, "name": "Base_1"}]}, 422, 'name: Invalid value: "Base_1"'),
        ({"containers": [{**CONTAINER, "env": [{"value": "x"}]}]}, 422, "env[0].name: Required value"),
        ({"containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}, 422, 'Not found: "v"'),
        ({"restartPolicy": "Sometimes"}, 422, 'spec.restartPolicy: Unsupported value: "Sometimes"'),
        ({"serviceAccountName": "nobody"}, 403, 'serviceaccount "nobody" not found'),
        ({"colour": "red"}, 400, "colour"),
        ({"restartPolicy": "Always"}, 501, "This double"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(core: Any, spec: Mapping[str, Any], status: int, problem: str) -> None:
    manifest = shell_pod("true")
    manifest["spec"].update(spec)
    found, _, message = refusal(lambda: core.create_namespaced_pod(NAMESPACE, manifest))

    assert status == found
    assert problem in message


def test_a_name_that_is_none_and_a_namespace_that_does_not_exist(core: Any) -> None:
    wrong = refusal(lambda: core.create_namespaced_pod(NAMESPACE, shell_pod("true", name="Step_1")))
    nowhere = refusal(lambda: core.create_namespaced_pod("nowhere", shell_pod("true")))

    assert (422, "Invalid") == wrong[:2]
    assert (404, "NotFound", 'namespaces "nowhere" not found') == nowhere


def test_a_service_account_that_exists_is_used(api: KubernetesApi, run: Run) -> None:
    api.cluster.put(SERVICE_ACCOUNTS, service_account("pipeline"), namespace=NAMESPACE)
    assert "pipeline" == run(shell_pod("true", serviceAccountName="pipeline")).spec.service_account_name


def test_a_patch_of_labels_merges_and_is_a_new_version(core: Any, run: Run) -> None:
    """...in each of the three forms of a patch."""
    before = run(shell_pod("true"))
    merged = core.patch_namespaced_pod("step", NAMESPACE, {"metadata": {"labels": {"already_checked": "True"}}})
    removed = core.patch_namespaced_pod(
        "step",
        NAMESPACE,
        {"metadata": {"labels": {"already_checked": None}}},
        _content_type="application/merge-patch+json",
    )
    operation = {"op": "add", "path": "/metadata/labels/a~1b", "value": "c"}
    added = core.patch_namespaced_pod("step", NAMESPACE, [operation])

    assert {"understudy/verb": "train", "already_checked": "True"} == merged.metadata.labels
    assert {"understudy/verb": "train"} == removed.metadata.labels
    assert {"understudy/verb": "train", "a/b": "c"} == added.metadata.labels
    versions = [int(each.metadata.resource_version) for each in (before, merged, removed, added)]
    assert sorted(set(versions)) == versions


def test_a_patch_without_a_change_is_no_new_version(core: Any, run: Run) -> None:
    before = run(shell_pod("true"))
    after = core.patch_namespaced_pod("step", NAMESPACE, {"metadata": {"labels": {"understudy/verb": "train"}}})

    assert before.metadata.resource_version == after.metadata.resource_version


def test_what_a_patch_may_not_change(core: Any, run: Run) -> None:
    run(shell_pod("true"))
    of_another = {"metadata": {"resourceVersion": "1"}}
    spec = {"spec": {"nodeName": "another"}}

    assert 409 == refusal(lambda: core.patch_namespaced_pod("step", NAMESPACE, of_another))[0]
    assert 422 == refusal(lambda: core.patch_namespaced_pod("step", NAMESPACE, spec))[0]
    assert 422 == refusal(lambda: core.patch_namespaced_pod("step", NAMESPACE, [{"op": "remove", "path": "/no"}]))[0]
    assert 404 == refusal(lambda: core.patch_namespaced_pod("none", NAMESPACE, {}))[0]


def running(api: KubernetesApi, core: Any, script: str) -> Any:
    """A pod whose process has written its first line."""
    core.create_namespaced_pod(NAMESPACE, shell_pod(script))
    wait_for(lambda: api.kubelet.runs[0].log.lines)
    return wait_for(lambda: _running(core))


def _running(core: Any) -> Any:
    found = core.read_namespaced_pod("step", NAMESPACE)
    return found if found.status.phase == "Running" else None


def is_gone(core: Any) -> bool:
    return not core.list_namespaced_pod(NAMESPACE).items


def last_exit_code(api: KubernetesApi) -> int:
    """Of the last state of a pod that was deleted."""
    last = next(each for each in reversed(api.cluster.changes) if each.resource == PODS and each.type == "DELETED")
    return int(last.content["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"])


def test_a_deleted_pod_gets_sigterm_and_is_gone_when_it_has_ended(api: KubernetesApi, core: Any) -> None:
    running(api, core, "trap 'exit 7' TERM; echo begun; while :; do sleep 0.05; done")
    deleted = core.delete_namespaced_pod("step", NAMESPACE)

    assert 30 == deleted.metadata.deletion_grace_period_seconds
    assert deleted.metadata.deletion_timestamp is not None
    wait_for(lambda: is_gone(core))
    assert 7 == last_exit_code(api)
    assert "Killing" in [each.reason for each in core.list_namespaced_event(NAMESPACE).items]


def test_a_process_that_ignores_sigterm_gets_sigkill_after_the_grace_period(api: KubernetesApi, core: Any) -> None:
    running(api, core, STUBBORN)
    core.delete_namespaced_pod("step", NAMESPACE, grace_period_seconds=1)

    wait_for(lambda: is_gone(core))
    assert 128 + signal.SIGKILL == last_exit_code(api)
    assert "begun\nstays\n" == api.kubelet.runs[0].log.text()


def test_without_a_grace_period_a_pod_is_gone_at_once(api: KubernetesApi, core: Any) -> None:
    running(api, core, STUBBORN)
    core.delete_namespaced_pod("step", NAMESPACE, grace_period_seconds=0)

    assert is_gone(core)
    wait_for(lambda: api.kubelet.runs[0].log.ended)


def test_a_second_delete_shortens_the_grace_period(api: KubernetesApi, core: Any) -> None:
    from kubernetes.client import V1DeleteOptions

    running(api, core, STUBBORN)
    first = core.delete_namespaced_pod("step", NAMESPACE)
    longer = core.delete_namespaced_pod("step", NAMESPACE, grace_period_seconds=60)
    core.delete_namespaced_pod("step", NAMESPACE, body=V1DeleteOptions(grace_period_seconds=1))

    assert first.metadata.deletion_timestamp == longer.metadata.deletion_timestamp
    wait_for(lambda: is_gone(core))


def test_a_pod_that_has_ended_is_gone_at_once(core: Any, run: Run) -> None:
    run(shell_pod("true"))
    core.delete_namespaced_pod("step", NAMESPACE)

    assert is_gone(core)
    assert (404, "NotFound", 'pods "step" not found') == refusal(lambda: core.delete_namespaced_pod("step", NAMESPACE))


def test_only_the_pod_that_the_precondition_names_is_deleted(core: Any, run: Run) -> None:
    from kubernetes.client import V1DeleteOptions, V1Preconditions

    uid = run(shell_pod("true")).metadata.uid
    another = V1DeleteOptions(preconditions=V1Preconditions(uid="another"))
    same = V1DeleteOptions(preconditions=V1Preconditions(uid=uid))

    assert (409, "Conflict") == refusal(lambda: core.delete_namespaced_pod("step", NAMESPACE, body=another))[:2]
    assert uid == core.delete_namespaced_pod("step", NAMESPACE, body=same).metadata.uid


def test_another_pod_of_the_same_name_runs_after_the_first(core: Any, run: Run) -> None:
    run(shell_pod("echo one"))
    core.delete_namespaced_pod("step", NAMESPACE)
    run(shell_pod("echo two"))

    assert "two\n" == log_of(core)
