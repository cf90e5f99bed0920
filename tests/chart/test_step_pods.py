"""What the chart says about the pods of steps, what Airflow makes of it, and what such a pod and Airflow may do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dags.tasks.pod_settings import load_pods
from tests.chart.helm import CHART, NEWEST, OLDEST, VALUES, Manifest, notes, of_kind, rendered
from tests.chart.schemas import require_fit
from tests.chart.step_pods import CALLS, ENABLED, NOT_MADE, provider_calls, settings_in, step_pods

# The values files of fleets that follow releases.
FOLLOWING = [name for name in VALUES if name not in ("baked-values.yaml", "gke-gpu-values.yaml")]
FILE = "u-understudy-pods"


def objects_of(values: str, *sets: str) -> tuple[Manifest, ...]:
    return rendered(values, sets=sets if values == "full-values.yaml" else (*ENABLED, *sets))


@pytest.mark.parametrize("values", FOLLOWING)
def test_airflow_takes_the_file_of_the_chart(values: str, tmp_path: Path) -> None:
    file = tmp_path / "pods.yaml"
    file.write_text(of_kind(objects_of(values), "ConfigMap")[FILE]["data"]["pods.yaml"])

    pods = load_pods(file)

    assert "serving" == pods.namespace
    assert "local" == pods.of("announce").execution, "a pod takes longer to start than this verb takes"


@pytest.mark.parametrize("values", FOLLOWING)
def test_each_pod_of_a_step_fits_the_schema_of_kubernetes(values: str) -> None:
    pods = step_pods(objects_of(values))

    assert {"train", "canary", "promote"} <= pods.keys()
    for pod in pods.values():
        for kube in (OLDEST, NEWEST):
            require_fit(pod, kube)


@pytest.mark.parametrize("values", FOLLOWING)
def test_the_policies_of_the_chart_are_for_the_pods_of_steps(values: str) -> None:
    """Kubernetes denies a pod without these labels nothing and helps it to nothing: the servers would not let it in."""
    objects = objects_of(values)
    policies = of_kind(objects, "NetworkPolicy")
    own = policies["u-understudy-pipeline"]["spec"]["podSelector"]["matchLabels"]
    let_in = [
        peer["podSelector"]["matchLabels"]
        for name, policy in policies.items()
        if "fleet" in policy["metadata"]["labels"]
        for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
        if "namespaceSelector" not in peer and "podSelector" in peer
        if peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] != "gateway"
    ]

    assert let_in
    for verb, pod in step_pods(objects).items():
        for selector in (own, *let_in):
            assert selector.items() <= pod["metadata"]["labels"].items(), verb


@pytest.mark.parametrize("values", FOLLOWING)
def test_the_service_account_of_a_step_exists_in_its_namespace(values: str) -> None:
    objects = objects_of(values)
    accounts = of_kind(objects, "ServiceAccount")

    for verb, pod in step_pods(objects).items():
        assert pod["spec"]["serviceAccountName"] in accounts, verb
        assert "u-understudy-pipeline" == pod["spec"]["serviceAccountName"], "the one that may write to the bucket"


@pytest.mark.parametrize("values", FOLLOWING)
def test_a_step_has_the_memory_that_it_may_use(values: str) -> None:
    for verb, pod in step_pods(objects_of(values)).items():
        (container,) = pod["spec"]["containers"]
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), verb
        assert "memory" in container["resources"]["limits"], verb


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), False),
        (("discovery=kubernetes",), True),
        (("stepPods.automountServiceAccountToken=true",), True),
        (("discovery=kubernetes", "stepPods.automountServiceAccountToken=false"), False),
    ],
)
def test_a_step_has_a_token_where_it_asks_kubernetes_for_replicas_or_the_values_say_so(
    sets: tuple[str, ...], expected: bool
) -> None:
    for verb, pod in step_pods(objects_of("minikube-values.yaml", *sets)).items():
        assert expected is pod["spec"]["automountServiceAccountToken"], verb


def test_a_single_verb_may_have_a_token() -> None:
    pods = step_pods(objects_of("minikube-values.yaml", "stepPods.verbs.canary.automountServiceAccountToken=true"))

    assert ["canary"] == [verb for verb, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]]


def container(values: str, verb: str, *sets: str) -> Any:
    (found,) = step_pods(objects_of(values, *sets))[verb]["spec"]["containers"]
    return found


def test_a_bucket_on_a_volume_is_mounted_where_the_fleet_has_it() -> None:
    fleet = yaml.safe_load((CHART / "ci" / "minikube-values.yaml").read_text())["fleets"]["digits"]
    pod = step_pods(objects_of("minikube-values.yaml"))["train"]["spec"]

    assert {"name": "bucket", "persistentVolumeClaim": {"claimName": fleet["existingClaim"]}} in pod["volumes"]
    assert {"name": "bucket", "mountPath": fleet["root"]} in pod["containers"][0]["volumeMounts"]


def test_a_bucket_of_s3_is_reached_with_the_secret_of_the_fleet() -> None:
    found = container("s3-values.yaml", "publish")

    assert [{"secretRef": {"name": "understudy-s3"}}] == found["envFrom"]
    assert {"AWS_ENDPOINT_URL_S3": "http://minio.minio:9000", "AWS_DEFAULT_REGION": "us-east-1"} == {
        each["name"]: each["value"] for each in found["env"]
    }


def test_a_verb_with_variables_of_its_own_still_has_those_of_the_bucket() -> None:
    more = ("stepPods.verbs.train.env[0].name=TF_GPU_THREAD_MODE", "stepPods.verbs.train.env[0].value=gpu_private")
    names = [each["name"] for each in container("s3-values.yaml", "train", *more)["env"]]

    assert ["AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "TF_GPU_THREAD_MODE"] == names


def test_train_runs_on_the_nodes_and_with_the_image_that_its_values_say() -> None:
    pods = step_pods(objects_of("full-values.yaml"))
    train, gate = pods["train"]["spec"], pods["gate"]["spec"]

    gpu, spot = {"cloud.google.com/gke-accelerator": "nvidia-l4"}, {"cloud.google.com/gke-spot": "true"}
    assert gpu | spot == train["nodeSelector"]
    assert 1 == train["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    assert train["containers"][0]["image"].endswith("-gpu")
    assert {"pool": "steps"} == gate["nodeSelector"]
    assert not gate["containers"][0]["image"].endswith("-gpu")
    assert [5, 2] == [settings_in(objects_of("full-values.yaml")).of(verb).retries for verb in ("train", "gate")]


@pytest.mark.parametrize("values", FOLLOWING)
def test_a_variable_has_a_value_or_names_a_secret(values: str) -> None:
    for verb, pod in step_pods(objects_of(values)).items():
        for variable in pod["spec"]["containers"][0].get("env", []):
            assert {"name", "value"} == variable.keys() or "secretKeyRef" in variable["valueFrom"], verb


def test_the_role_has_the_right_to_each_call_that_airflow_makes_and_no_other() -> None:
    role = of_kind(rendered("full-values.yaml"), "Role")["u-understudy-step-pods"]
    rights = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    assert set(CALLS.values()) == rights


def test_the_calls_of_airflow_are_those_of_the_table() -> None:
    """Read from the source of its providers: a newer one that makes another call fails here, before it is refused."""
    assert CALLS.keys() | NOT_MADE.keys() == provider_calls()


def test_the_file_is_where_airflow_is_and_with_the_release_if_that_is_outside() -> None:
    by_user = ("stepPods.enabled=true", "networkPolicy.mlflow.it.namespace=mlflow", "rbac.airflowUsers={a@example.com}")
    outside = (*by_user, "rbac.airflowNamespace=")

    inside = of_kind(objects_of("minikube-values.yaml", "rbac.airflowNamespace=jobs"), "ConfigMap")[FILE]
    assert "jobs" == inside["metadata"]["namespace"]
    assert "namespace" not in of_kind(rendered("minikube-values.yaml", sets=outside), "ConfigMap")[FILE]["metadata"]


def test_airflow_outside_finds_the_cluster_by_the_values_for_gke() -> None:
    cluster = ("project=p", "location=europe-west4", "cluster=c", "dnsEndpoint=true")

    found = settings_in(objects_of("gke-cpu-values.yaml", *(f"stepPods.gke.{each}" for each in cluster))).gke

    assert found
    assert ("p", "europe-west4", "c", True) == (found.project, found.location, found.cluster, found.dns_endpoint)


@pytest.mark.parametrize(
    "sets",
    [
        ("defaults.mlflowUrl=https://mlflow.example.com",),
        ("defaults.mlflowUrl=http://mlflow.example.com:8080/x", "networkPolicy.bucketPorts={443,8080}"),
        ("networkPolicy.enabled=false",),
    ],
)
def test_steps_that_reach_mlflow_without_a_rule_for_it_need_none(sets: tuple[str, ...]) -> None:
    """The rule for the bucket lets them out of the cluster, or there are no rules."""
    by_user = ("stepPods.enabled=true", "rbac.airflowUsers={a@example.com}")

    assert "train" in step_pods(rendered("gke-cpu-values.yaml", sets=(*by_user, *sets)))


@pytest.mark.parametrize("port", [443, 6443, 8443])
def test_a_step_reaches_the_api_of_kubernetes_at_its_usual_ports(port: int) -> None:
    """On GKE, most others, and minikube."""
    sets = ("discovery=kubernetes", "networkPolicy.apiServer.it.cidr=192.168.49.2/32")
    rules = of_kind(objects_of("minikube-values.yaml", *sets), "NetworkPolicy")["u-understudy-pipeline"]["spec"]
    (rule,) = [each for each in rules["egress"] if {"ipBlock": {"cidr": "192.168.49.2/32"}} in each["to"]]

    assert {"protocol": "TCP", "port": port} in rule["ports"]


@pytest.mark.parametrize(
    ("sets", "warned"),
    [
        ((), False),
        (("discovery=kubernetes",), True),
        (("discovery=kubernetes", "networkPolicy.enabled=false"), False),
        (("discovery=kubernetes", "networkPolicy.apiServer.it.cidr=192.168.49.2/32"), False),
    ],
)
def test_the_notes_warn_of_steps_that_may_not_reach_the_api_of_kubernetes(
    sets: tuple[str, ...], warned: bool, tmp_path: Path
) -> None:
    assert warned is ("WARNING: discovery is kubernetes" in notes("minikube-values.yaml", sets, tmp_path))
