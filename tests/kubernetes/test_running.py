"""A pod that is created runs as a local process, and its status is that which the kubelet writes."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubernetes.admission import admitted
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.manifests import IMAGES, NAMESPACE, SHELL, log_of, shell_pod, wait_for
from tests.kubernetes.objects import config_map, secret
from tests.kubernetes.resources import CONFIG_MAPS, PODS, SECRETS

Run = Callable[[Any], Any]


def terminated(pod: Any) -> Any:
    return pod.status.container_statuses[0].state.terminated


def reasons(core: Any) -> list[str]:
    return [each.reason for each in core.list_namespaced_event(NAMESPACE).items]


def test_a_pod_succeeds(api: KubernetesApi, core: Any, run: Run) -> None:
    pod = run(shell_pod("echo hello; exit 0"))

    assert ("Succeeded", 0, "Completed") == (pod.status.phase, terminated(pod).exit_code, terminated(pod).reason)
    assert terminated(pod).started_at <= terminated(pod).finished_at
    assert {"PodScheduled": "True", "Initialized": "True", "Ready": "False", "ContainersReady": "False"} == {
        each.type: each.status for each in pod.status.conditions
    }
    assert "hello\n" == log_of(core)
    assert ["Scheduled", "Pulling", "Pulled", "Created", "Started"] == reasons(core)


def test_the_phases_are_pending_running_and_the_end(api: KubernetesApi, run: Run) -> None:
    run(shell_pod("exit 3"))
    phases = [each.content["status"]["phase"] for each in api.cluster.changes if each.resource == PODS]

    assert ["Pending", "Running", "Failed"] == list(dict.fromkeys(phases))


@pytest.mark.parametrize(("script", "code"), [("exit 99", 99), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_a_pod_fails_with_the_code_of_its_process(run: Run, script: str, code: int) -> None:
    """The end of a line of the script is `$$` for the shell: its only escape is that of Kubernetes."""
    pod = run(shell_pod(script.replace("$$", "$$$$")))

    assert ("Failed", code, "Error") == (pod.status.phase, terminated(pod).exit_code, terminated(pod).reason)


def test_a_program_that_does_not_exist_is_a_start_error(run: Run) -> None:
    pod = run(shell_pod("", container={"command": ["/no/such/program"]}))

    assert ("Failed", 128, "StartError") == (pod.status.phase, terminated(pod).exit_code, terminated(pod).reason)
    assert "No such file" in terminated(pod).message


def test_args_replace_the_command_of_the_image_and_command_its_entrypoint(api: KubernetesApi, run: Run) -> None:
    run(shell_pod("true", name="one"))
    run(
        shell_pod(
            "", name="two", container={"command": ["/bin/echo", "$(WHO)"], "env": [{"name": "WHO", "value": "me"}]}
        )
    )

    assert [["/bin/sh", "-c", "true"], ["/bin/echo", "me", ""]] == [each.argv for each in api.kubelet.runs]


def test_a_container_has_the_variables_of_its_image_and_its_pod_and_no_other(
    core: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_TEST", "1")
    run(shell_pod("env", container={"env": [{"name": "OURS", "value": "2"}]}))
    found = dict(line.split("=", 1) for line in log_of(core).splitlines())

    assert ("2", "step", "/usr/bin:/bin", "127.0.0.1") == (
        found["OURS"],
        found["HOSTNAME"],
        found["PATH"],
        found["KUBERNETES_SERVICE_HOST"],
    )
    assert "OF_THE_TEST" not in found


def test_variables_come_from_secrets_config_maps_and_fields(api: KubernetesApi, core: Any, run: Run) -> None:
    api.cluster.put(SECRETS, secret("minio", key="s3cret", other="o"), namespace=NAMESPACE)
    api.cluster.put(CONFIG_MAPS, config_map("settings", MODE="dark"), namespace=NAMESPACE)
    env = [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "minio", "key": "key"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "none", "key": "key", "optional": True}}},
        {"name": "VERB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['understudy/verb']"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "ALL", "value": "$(KEY) $(MODE) $(VERB) $(NODE) $$(KEY)"},
    ]
    sources = [{"configMapRef": {"name": "settings"}}, {"prefix": "S_", "secretRef": {"name": "minio"}}]
    run(shell_pod('echo "$ALL $S_other ${NONE-unset}"', container={"env": env, "envFrom": sources}))

    assert "s3cret dark train node-1 $(KEY) o unset\n" == log_of(core)


def test_a_pod_waits_for_a_secret_that_does_not_exist(api: KubernetesApi, core: Any) -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "minio", "key": "key"}}}]
    core.create_namespaced_pod(NAMESPACE, shell_pod("echo $KEY", container={"env": env}))

    def waits() -> Any:
        statuses = core.read_namespaced_pod("step", NAMESPACE).status.container_statuses
        state = statuses[0].state.waiting if statuses else None
        return state if state and state.reason == "CreateContainerConfigError" else None

    assert 'secret "minio" not found' == wait_for(waits).message
    api.cluster.put(SECRETS, secret("minio", key="s3cret"), namespace=NAMESPACE)
    wait_for(lambda: core.read_namespaced_pod("step", NAMESPACE).status.phase == "Succeeded")


RESULT_FILE = [{"name": "UNDERSTUDY_RESULT_FILE", "value": "/dev/termination-log"}]


@pytest.mark.parametrize(
    ("script", "policy", "expected"),
    [
        ('printf done > "$UNDERSTUDY_RESULT_FILE"', "File", "done"),
        ("head -c 5000 /dev/zero | tr '\\0' x > $UNDERSTUDY_RESULT_FILE", "File", "x" * 4096),
        ("echo wrong; exit 1", "File", None),
        ("echo wrong; exit 1", "FallbackToLogsOnError", "wrong\n"),
        ("echo right", "FallbackToLogsOnError", None),
        ("seq 1 100; exit 1", "FallbackToLogsOnError", "".join(f"{n}\n" for n in range(21, 101))),
        ("head -c 5000 /dev/zero | tr '\\0' x; exit 1", "FallbackToLogsOnError", "x" * 2048),
    ],
)
def test_the_termination_message(run: Run, script: str, policy: str, expected: str | None) -> None:
    container = {"env": RESULT_FILE, "terminationMessagePolicy": policy}
    assert expected == terminated(run(shell_pod(script, container=container))).message


def test_a_pod_that_runs_for_too_long_has_failed(core: Any, run: Run) -> None:
    pod = run(shell_pod("sleep 60", activeDeadlineSeconds=1))

    assert ("Failed", "DeadlineExceeded") == (pod.status.phase, pod.status.reason)
    assert 143 == terminated(pod).exit_code


def test_what_a_process_leaves_behind_ends_with_it(api: KubernetesApi, core: Any, run: Run) -> None:
    """...so that its log ends: a child that still has the output does not keep it open."""
    run(shell_pod("sleep 60 & echo begun"))

    assert "begun\n" == log_of(core, follow=True)


def test_no_process_outlives_the_double() -> None:
    with KubernetesApi(images=IMAGES) as api:
        api.cluster.namespaces.add(NAMESPACE)
        api.kubelet.run(api.cluster.create(PODS, _stored(shell_pod("echo $$$$; exec sleep 60"))))
        wait_for(lambda: api.kubelet.runs[0].log.lines)
        process = api.kubelet.runs[0].log.text().strip()

    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def _stored(manifest: Any) -> Any:
    return admitted(Cluster(namespaces={NAMESPACE}), NAMESPACE, manifest)


def test_an_image_is_what_the_test_says(api: KubernetesApi, run: Run) -> None:
    assert SHELL in api.images
    assert "Succeeded" == run(shell_pod("test $(pwd) = /")).status.phase
