"""The tasks that Airflow makes of the same DAGs where steps are pods, and the pods that these create."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.dags.conftest import PROJECT, run_script
from tests.dags.test_structure import SHAPES
from tests.dags.wrong_pods import HIDDEN, RIGHT, WRONG

STEPS = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote", "withdraw")
KEY = "retrain-20260102030405000006"
# The oldest and the newest version of Kubernetes that the chart is checked for.
VERSIONS = ("1.29", "1.37")
# They have steps that wait for no person.
SCHEDULED = ("retrain_digits", "retain_digits", "announce")


def pods(found: Any) -> dict[str, Any]:
    return {
        f"{dag_id}.{task_id}": task["pod"]
        for dag_id, tasks in found["dags"].items()
        for task_id, task in tasks.items()
        if task["pod"]
    }


def container(found: Any, task_id: str, dag_id: str = "retrain_digits") -> Any:
    (only,) = found["dags"][dag_id][task_id]["pod"]["spec"]["containers"]
    return only


def test_the_dags_have_the_same_tasks_in_the_same_order(in_pods: Any) -> None:
    shapes = {
        dag_id: {task_id: task["downstream"] for task_id, task in tasks.items()}
        for dag_id, tasks in in_pods["dags"].items()
    }

    assert {} == in_pods["import_errors"]
    assert SHAPES == shapes


def test_the_steps_of_scheduled_dags_are_pods_and_those_of_people_on_call_are_not(in_pods: Any) -> None:
    """Unless the file says so: here `announce` is to be local, and `pin` a pod."""
    of_retrain = [f"retrain_{model}.{step}" for model in ("digits", "letters") for step in STEPS]
    of_retain = ["retain_digits.retain", "retain_letters.retain"]

    assert sorted([*of_retrain, *of_retain, "pin.pin"]) == sorted(pods(in_pods))


@pytest.mark.parametrize("step", STEPS)
def test_a_pod_runs_the_words_that_a_local_process_runs(in_pods: Any, described: Any, step: str) -> None:
    command = described["dags"]["retrain_digits"]["tasks"][step]["command"]
    words = container(in_pods, step)["args"]

    assert ["python", "-m", "pipeline", step, "--run", KEY, "--model", "digits"] == words
    local = command.replace("'retrain-{{ dag_run.run_after.strftime(\"%Y%m%d%H%M%S%f\") }}'", KEY).split()[1:]
    assert words[1:] == local
    assert not container(in_pods, step).get("command"), "the entry point stays the image's"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_pod_is_valid(in_pods: Any, version: str) -> None:
    found = pods(in_pods)

    assert found
    for pod in found.values():
        kubernetes_validate.validate(pod, version, strict=True)


def test_every_pod_has_the_least_rights(in_pods: Any) -> None:
    for name, pod in pods(in_pods).items():
        spec, (only,) = pod["spec"], pod["spec"]["containers"]
        secure = spec["securityContext"]
        assert (True, 50000, "RuntimeDefault") == (
            secure["runAsNonRoot"],
            secure["runAsUser"],
            secure["seccompProfile"]["type"],
        ), name
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == only["securityContext"], name
        assert ("Never", False) == (spec["restartPolicy"], spec.get("hostNetwork", False)), name
        assert "/tmp" in [mount["mountPath"] for mount in only["volumeMounts"]], name


def test_a_verb_has_its_own_image_resources_and_nodes(in_pods: Any) -> None:
    train, gate = in_pods["dags"]["retrain_digits"]["train"], in_pods["dags"]["retrain_digits"]["gate"]

    assert "registry.example/understudy-pipeline:1-gpu" == container(in_pods, "train")["image"]
    assert {"limits": {"nvidia.com/gpu": "1", "memory": "8Gi"}} == container(in_pods, "train")["resources"]
    assert {"cloud.google.com/gke-accelerator": "nvidia-l4"} == train["pod"]["spec"]["nodeSelector"]
    assert ["nvidia.com/gpu"] == [each["key"] for each in train["pod"]["spec"]["tolerations"]]
    assert (3, 1200, 1200) == (train["retries"], train["startup_timeout_seconds"], train["schedule_timeout_seconds"])
    assert "registry.example/understudy-pipeline:1" == container(in_pods, "gate")["image"]
    assert (1, 300) == (gate["retries"], gate["startup_timeout_seconds"])
    assert not gate["pod"]["spec"].get("nodeSelector")


def test_a_pod_has_what_the_file_says(in_pods: Any) -> None:
    pod, only = in_pods["dags"]["retrain_digits"]["gate"]["pod"], container(in_pods, "gate")

    assert "understudy" == pod["metadata"]["namespace"]
    assert "understudy-pipeline" == pod["spec"]["serviceAccountName"]
    assert pod["spec"]["automountServiceAccountToken"]
    assert "batch" == pod["spec"]["priorityClassName"]
    assert "vision" == pod["metadata"]["annotations"]["example.com/team"]
    assert [{"name": "registry"}] == pod["spec"]["imagePullSecrets"]
    assert [{"configMapRef": {"name": "understudy"}}] == only["envFrom"]
    assert {"understudy-temporary", "models"} == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_a_pod_is_found_by_its_labels_and_its_name_says_what_it_is(in_pods: Any) -> None:
    metadata = in_pods["dags"]["retrain_digits"]["train"]["pod"]["metadata"]

    assert metadata["name"].startswith("retrain-digits-train-")
    assert {
        "app.kubernetes.io/name": "understudy",
        "app.kubernetes.io/component": "pipeline",
        "app.kubernetes.io/instance": "understudy",
        "understudy/verb": "train",
    }.items() <= metadata["labels"].items()


def test_the_settings_of_the_deployment_reach_a_pod_and_those_of_the_worker_do_not(in_pods: Any) -> None:
    environment = {each["name"]: each.get("value") for each in container(in_pods, "train")["env"]}

    assert "gs://models/here" == environment["UNDERSTUDY_ROOT"]
    assert "/keys/ca.pem" == environment["UNDERSTUDY_TLS_CA"], "what the file says counts"
    assert {"UNDERSTUDY_MODELS", "UNDERSTUDY_PODS", "UNDERSTUDY_EXECUTION"}.isdisjoint(environment)
    assert "understudy_hidden" not in json.dumps(in_pods), "the key of a gateway"


def test_the_file_of_pods_and_the_settings_of_the_deployment_are_no_templates(in_pods: Any) -> None:
    pod = in_pods["dags"]["retrain_digits"]["train"]["pod"]
    environment = {each["name"]: each.get("value") for each in container(in_pods, "train")["env"]}

    assert "{{ conn.nope }} $(ann)" == pod["metadata"]["annotations"]["example.com/shape"]
    assert "{{ conn.nope }} $(AWS_ENDPOINT_URL)" == environment["SHAPE"], "Kubernetes says what $(...) means here"
    assert "{{conn.nope}}.$$(ann)" == environment["UNDERSTUDY_TLS_SERVER_NAME"]


def test_a_pod_may_have_a_temporary_folder_of_its_own(in_pods: Any) -> None:
    (spec, mounts) = (in_pods["dags"]["retrain_digits"]["evaluate"]["pod"]["spec"], container(in_pods, "evaluate"))

    assert [{"name": "big", "mountPath": "/tmp"}] == mounts["volumeMounts"]
    assert [{"name": "big", "emptyDir": {"medium": "Memory"}}] == spec["volumes"]


def test_a_secret_is_named_and_its_value_is_nowhere(in_pods: Any) -> None:
    (secret,) = (each for each in container(in_pods, "train")["env"] if each["name"] == "AWS_SECRET_ACCESS_KEY")

    assert {"secretKeyRef": {"name": "minio", "key": "secret"}} == secret["valueFrom"]
    assert "value" not in secret


def test_what_a_person_has_typed_is_no_reference_to_another_variable(in_pods: Any) -> None:
    """Kubernetes would put the value of a variable `ann` in the place of `$(ann)`."""
    (actor,) = (each for each in container(in_pods, "train")["env"] if each["name"] == "UNDERSTUDY_ACTOR")

    assert "$$(ann)" == actor["value"]


def test_a_pod_outlives_neither_its_task_nor_a_kill(in_pods: Any) -> None:
    for dag_id, tasks in in_pods["dags"].items():
        for task_id, task in tasks.items():
            if task["pod"]:
                assert (True, 10, "[99]", "delete_pod", "delete_pod", False, False) == (
                    task["deferrable"],
                    task["logging_interval"],
                    str(task["skip_on_exit_code"]),
                    task["on_finish_action"],
                    task["on_kill_action"],
                    task["log_pod_spec_on_failure"],
                    task["do_xcom_push"],
                ), (dag_id, task_id)
                assert 600 < task["pod"]["spec"]["activeDeadlineSeconds"], (dag_id, task_id)


def test_a_task_has_time_for_its_verb_beyond_the_start_of_its_pod(outside: Any, described: Any) -> None:
    """Twice 120 s, where the file does not say it: until a node takes the pod, and until its image is there."""
    names = [tuple(name.split(".")) for name in pods(outside)]
    tasks = {name: outside["dags"][name[0]][name[1]] for name in names}
    local = {name: described["dags"][name[0]]["tasks"][name[1]]["execution_timeout"] for name in names}

    assert {name: seconds + 240 for name, seconds in local.items()} == {
        name: task["execution_timeout"] for name, task in tasks.items()
    }
    for name, task in tasks.items():
        assert task["execution_timeout"] < task["pod"]["spec"]["activeDeadlineSeconds"], name


def test_only_what_people_trigger_has_the_queue_for_that(in_pods: Any) -> None:
    queues = {
        dag_id: {task["queue"] for task in tasks.values()}
        for dag_id, tasks in in_pods["dags"].items()
        if "settings" not in tasks and "model_file" not in tasks
    }

    assert {"on-call"} == queues["rollback"] | queues["pin"] | queues["reconcile"]
    assert {"default"} == queues["retrain_digits"] | queues["retain_digits"] | queues["announce"]


@pytest.fixture(scope="session")
def outside(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same for an Airflow outside a cluster of GKE."""
    path = tmp_path_factory.mktemp("gke") / "pods.yaml"
    path.write_text(
        "image: registry.example/understudy-pipeline:1\nnamespace: understudy\n"
        "gke: {project: my-project, location: europe-west4, cluster: main, dnsEndpoint: true}\n",
        encoding="utf-8",
    )
    of_pods = {"UNDERSTUDY_EXECUTION": "pod", "UNDERSTUDY_PODS": str(path), "UNDERSTUDY_ROOT": "gs://models/here"}
    trusting = {"UNDERSTUDY_TLS_CA": "system", "UNDERSTUDY_ACTOR": "system"}
    return run_script("render.py", environment=environment | of_pods | trusting)


def test_the_authorities_of_the_system_hold_for_pods_too(outside: Any) -> None:
    """Without them a pod would ask replicas in plain text. They are no file that a pod must have."""
    environment = {each["name"]: each.get("value") for each in container(outside, "canary")["env"]}

    assert "system" == environment["UNDERSTUDY_TLS_CA"]
    assert "$$(ann)" == environment["UNDERSTUDY_ACTOR"], "this one is of the run"


def test_outside_the_cluster_the_operator_of_gke_is_used(outside: Any) -> None:
    train, announce = (outside["dags"]["retrain_digits"][each] for each in ("train", "announce"))

    assert ("GkeVerbOperator", "GkeAnnounceOperator") == (train["operator"], announce["operator"])
    assert ("my-project", "europe-west4", "main", True, "google_cloud_default") == (
        train["project_id"],
        train["location"],
        train["cluster_name"],
        train["use_dns_endpoint"],
        train["gcp_conn_id"],
    )
    assert "VerbOperator" == outside["dags"]["rollback"]["roll_back"]["operator"]
    for pod in pods(outside).values():
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


@pytest.fixture(scope="module")
def with_setups(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The DAGs with each set-up of wrong_pods.py; see render_setups.py."""
    return run_script("render_setups.py", str(tmp_path_factory.mktemp("setups")), environment=environment)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_takes_no_dag_away_that_people_on_call_need(with_setups: Any, name: str) -> None:
    found = with_setups[name]

    assert {} == found["import_errors"]
    for dag_id in SCHEDULED:
        assert ["settings"] == list(found["dags"][dag_id])
        assert WRONG[name].says in found["descriptions"][dag_id]
    assert {"VerbOperator", "AnnounceOperator"} == set(found["dags"]["rollback"].values())


@pytest.mark.parametrize("name", RIGHT)
def test_files_for_airflow_are_files_for_pods(with_setups: Any, name: str) -> None:
    """Or the authorities of the system. Only `publish` signs, and `announce` verifies nothing."""
    found = with_setups[name]

    assert {} == found["import_errors"]
    for dag_id in SCHEDULED:
        assert {"PodVerbOperator", "PodAnnounceOperator"} >= set(found["dags"][dag_id].values())


def test_no_secret_is_in_a_reason(with_setups: Any) -> None:
    """Airflow shows it to everybody who may see the DAG."""
    assert HIDDEN in json.dumps([WRONG[name].content for name in ("a secret", "no YAML")])
    assert HIDDEN not in json.dumps(with_setups)


def test_local_steps_load_no_client_of_kubernetes_or_google(environment: dict[str, str], pods_file: Path) -> None:
    """Whatever file of pods there is: with it local steps are one variable away."""
    script = "import sys, json, dags.retrain, dags.rollback, dags.announce\n"
    script += "names = 'kubernetes', 'airflow.providers.google.cloud.operators', 'dags.tasks.pods', 'dags.tasks.gke'\n"
    script += "heavy = [name for name in names if name in sys.modules]\n"
    script += "sys.stdout.write(json.dumps(heavy))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"UNDERSTUDY_PODS": str(pods_file)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert [] == json.loads(done.stdout.splitlines()[-1])
