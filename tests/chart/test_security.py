"""What the pods of the chart may do, and who may reach them."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.chart.helm import (
    CHART,
    NAMESPACE,
    NEWEST,
    RELEASE,
    VALUES,
    Manifest,
    containers,
    helm,
    objects_in,
    of_kind,
    pods,
    rendered,
    tool,
)
from tests.chart.step_pods import step_pods
from tests.hunts import hunt

SKIPPED = yaml.safe_load((Path(__file__).parent / "checkov.yaml").read_text())


@pytest.mark.parametrize("values", VALUES)
def test_every_pod_fits_the_restricted_profile(values: str) -> None:
    """Of the Pod Security Standards; a namespace that enforces it refuses any other pod."""
    found = pods(rendered(values))

    assert found
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert 50000 == pod["securityContext"]["runAsUser"], name
        assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"], name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert {"configMap", "emptyDir", "persistentVolumeClaim", "secret"} >= {
            kind for volume in pod["volumes"] for kind in volume if kind != "name"
        }, name
        for container in containers(pod):
            expected = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert expected == container["securityContext"], name
            assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]], name


@pytest.mark.parametrize("values", VALUES)
def test_no_pod_and_no_service_account_has_a_token_for_the_api(values: str) -> None:
    objects = rendered(values)

    for name, pod in pods(objects).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert "default" != pod["serviceAccountName"], name
    for name, account in of_kind(objects, "ServiceAccount").items():
        assert account["automountServiceAccountToken"] is False, name


@pytest.mark.parametrize("values", VALUES)
def test_no_image_is_latest(values: str) -> None:
    images = {container["image"] for pod in pods(rendered(values)).values() for container in containers(pod)}

    for image in images:
        assert image.rpartition(":")[2] not in ("", "latest"), image


def test_rights_are_those_for_step_pods_and_for_replicas_and_no_others() -> None:
    """Those for step pods are compared with the calls that Airflow makes in test_step_pods.py."""
    objects = rendered("full-values.yaml")
    roles = {
        name: [
            (group, resource, rule["verbs"])
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        ]
        for name, role in of_kind(objects, "Role").items()
    }

    assert {"u-understudy-step-pods", "u-understudy-replicas"} == roles.keys()
    assert [
        ("discovery.k8s.io", "endpointslices", ["get", "list"]),
        ("", "pods", ["get", "list"]),
    ] == roles["u-understudy-replicas"]
    assert not {"ClusterRole", "ClusterRoleBinding"} & {each["kind"] for each in objects}


def test_who_has_these_rights() -> None:
    bindings = of_kind(rendered("full-values.yaml"), "RoleBinding")

    subjects = {
        name: [(each["kind"], each.get("namespace"), each["name"]) for each in binding["subjects"]]
        for name, binding in bindings.items()
    }
    assert {
        "u-understudy-step-pods": [
            ("ServiceAccount", "airflow", "airflow-scheduler"),
            ("ServiceAccount", "airflow", "airflow-triggerer"),
            ("User", None, "airflow@my-project.iam.gserviceaccount.com"),
        ],
        "u-understudy-replicas": [("ServiceAccount", "serving", "u-understudy-pipeline")],
    } == subjects


def test_nobody_may_start_pods_by_default() -> None:
    """Steps are processes of the scheduler."""
    objects = rendered("gke-cpu-values.yaml")

    for kind in ("Role", "RoleBinding"):
        assert ["u-understudy-replicas"] == [*of_kind(objects, kind)]
    assert "u-understudy-pods" not in of_kind(objects, "ConfigMap")


@pytest.mark.parametrize("values", VALUES)
def test_all_that_no_policy_allows_is_denied(values: str) -> None:
    objects = rendered(values)
    policies = of_kind(objects, "NetworkPolicy")

    deny = policies["u-understudy-default-deny"]["spec"]
    assert ["Ingress", "Egress"] == deny["policyTypes"]
    assert not {"ingress", "egress"} & deny.keys()
    for each in policies.values():
        for rule in each["spec"].get("ingress", []):
            assert rule["from"], "an empty list would let everybody in"
            assert rule["ports"]


def ingress(values: str, *sets: str, model: str = "digits") -> list[dict[str, Any]]:
    policy = of_kind(rendered(values, sets=sets), "NetworkPolicy")[f"u-understudy-{model}"]
    return list(policy["spec"]["ingress"])


def test_without_named_clients_only_pods_of_the_release_reach_a_server() -> None:
    (rule,) = ingress("baked-values.yaml")

    ((peer,),) = [rule["from"]]
    assert "pipeline" == peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
    assert "namespaceSelector" not in peer, "those of this namespace"
    assert ["grpc", "rest"] == [port["port"] for port in rule["ports"]]


def test_each_named_peer_reaches_the_ports_it_needs() -> None:
    rules = ingress("full-values.yaml")
    ports = {
        json.dumps(peer, sort_keys=True): [port["port"] for port in rule["ports"]]
        for rule in rules
        for peer in rule["from"]
    }

    def named(namespace: str, **labels: str) -> str:
        peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        if labels:
            peer["podSelector"] = {"matchLabels": {name.replace("__", "."): value for name, value in labels.items()}}
        return json.dumps(peer, sort_keys=True)

    assert ["grpc", "rest"] == ports[named("shop", app="checkout")]
    assert ["grpc", "rest"] == ports[named("ingress-nginx")]
    assert ["grpc", "rest"] == ports[json.dumps({"ipBlock": {"cidr": "10.129.0.0/23"}})]
    assert ["grpc"] == ports[json.dumps({"ipBlock": {"cidr": "192.168.4.0/24"}})]
    assert 7 == len(ports), "these, the pods of the release, its gateway, and Prometheus"


@pytest.mark.parametrize("values", ["gke-cpu-values.yaml", "s3-values.yaml", "minikube-values.yaml"])
def test_the_scheduler_of_airflow_may_release_where_it_runs_the_steps_itself(values: str) -> None:
    """The label is the one that Airflow's own chart gives to these pods."""
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "airflow"}},
        "podSelector": {"matchLabels": {"component": "scheduler"}},
    }

    (rule,) = [rule for rule in ingress(values) if peer in rule["from"]]
    assert ["grpc"] == [port["port"] for port in rule["ports"]]


def test_a_load_balancer_lets_in_the_networks_of_its_clients() -> None:
    peers = [peer for rule in ingress("full-values.yaml", model="digits-small") for peer in rule["from"]]

    assert {"ipBlock": {"cidr": "10.0.0.0/8"}} in peers


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ("gke-cpu-values.yaml", [53, 53, 443, 80, 987, 988]),
        ("s3-values.yaml", [53, 53, 9000]),
        ("minikube-values.yaml", []),
        ("baked-values.yaml", []),
    ],
)
def test_a_server_reaches_the_bucket_it_reads_and_nothing_else(values: str, ports: list[int]) -> None:
    policy = of_kind(rendered(values), "NetworkPolicy")["u-understudy-digits"]["spec"]

    assert "Egress" in policy["policyTypes"]
    assert ports == [port["port"] for rule in policy.get("egress", []) for port in rule["ports"]]


def test_networks_of_node_metadata_are_reached_only_where_credentials_come_from_there() -> None:
    policy = of_kind(rendered("s3-values.yaml"), "NetworkPolicy")["u-understudy-digits"]["spec"]

    assert METADATA & reached(rendered("gke-cpu-values.yaml"), "u-understudy-digits") == METADATA
    assert not METADATA & reached(rendered("s3-values.yaml"), "u-understudy-digits")
    blocks = [peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]
    assert {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]} in blocks


# GKE's two addresses, and the agent of EKS Pod Identity.
METADATA = {
    ("169.254.169.254/32", 80),
    ("169.254.169.254/32", 988),
    ("169.254.169.252/32", 988),
    ("169.254.170.23/32", 80),
}


def reached(objects: Sequence[Manifest], policy: str) -> set[tuple[str, int]]:
    """The networks and namespaces that a policy lets its pods reach, with the ports."""
    rules = of_kind(objects, "NetworkPolicy")[policy]["spec"]["egress"]
    return {(_place(peer), port["port"]) for rule in rules for peer in rule["to"] for port in rule["ports"]}


def _place(peer: Manifest) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    namespace = peer.get("namespaceSelector", {}).get("matchLabels", {})
    return str(namespace.get("kubernetes.io/metadata.name", "its own"))


@pytest.mark.parametrize("policy", ["u-understudy-digits", "u-understudy-pipeline"])
def test_a_bucket_in_the_cluster_is_reached_as_pods(policy: str) -> None:
    """Cilium and Dataplane V2 do not compare networks with the addresses of pods."""
    objects = rendered("s3-values.yaml")
    endpoint = urlsplit(yaml.safe_load((CHART / "ci/s3-values.yaml").read_text())["fleets"]["digits"]["s3"]["endpoint"])

    _, _, namespace = str(endpoint.hostname).partition(".")
    assert (namespace, endpoint.port) in reached(objects, policy)


def test_names_are_resolved_by_each_dns_of_gke() -> None:
    """Pods of the cluster, the cache of a node, and Cloud DNS where there is no cache."""
    asked = {place for place, port in reached(rendered("gke-cpu-values.yaml"), "u-understudy-digits") if port == 53}

    assert {"kube-system", "169.254.20.10/32", "169.254.169.254/32"} == asked


def test_the_pipeline_reaches_mlflow_where_a_value_says_so() -> None:
    policy = "u-understudy-pipeline"

    assert ("mlflow", 5000) in reached(rendered("full-values.yaml"), policy)
    assert 5000 not in {port for _, port in reached(rendered("gke-cpu-values.yaml"), policy)}


def test_the_pipeline_reaches_the_api_of_kubernetes_where_a_value_says_so() -> None:
    place = ("172.16.0.2/32", 6443)

    assert place in reached(rendered("full-values.yaml"), "u-understudy-pipeline")
    assert place not in reached(rendered("full-values.yaml"), "u-understudy-digits")
    assert 6443 not in {port for _, port in reached(rendered("gke-cpu-values.yaml"), "u-understudy-pipeline")}


def test_managed_prometheus_reads_metrics_from_both_of_its_namespaces() -> None:
    """Autopilot has it in another one."""
    rules = [rule for rule in ingress("gke-cpu-values.yaml") if [{"protocol": "TCP", "port": "rest"}] == rule["ports"]]

    assert {"gmp-system", "gke-gmp-system"} == {_place(peer) for rule in rules for peer in rule["from"]}


@hunt
def test_checkov_finds_nothing_that_is_not_skipped_with_a_reason(tmp_path: Path) -> None:
    """It looks at all values files at once: most of its time is its start."""
    install = "the commands in tests/chart/tools/requirements.in"
    program = tool("checkov", install=install)
    for values in VALUES:
        (tmp_path / values).write_text(yaml.safe_dump_all(rendered(values)))
    steps = step_pods(rendered("full-values.yaml"))
    for verb, pod in steps.items():
        pod["metadata"]["name"] = verb  # it gets one when it is started
    (tmp_path / "steps.yaml").write_text(yaml.safe_dump_all(steps.values()))

    words = ["--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--output", "json"]
    done = subprocess.run(
        [program, *words, "--directory", str(tmp_path)], capture_output=True, text=True, check=False, timeout=110
    )

    report = json.loads(done.stdout)
    assert report["summary"]["resource_count"] > 100, done.stderr
    assert not report["summary"]["parsing_errors"]
    failed = {(each["check_id"], each["resource"].split(".")[0]) for each in report["results"]["failed_checks"]}
    assert [] == sorted(each for each in failed if each[1] not in SKIPPED.get(each[0], {"kinds": []})["kinds"])
    assert SKIPPED.keys() == {check for check, _ in failed}, "a check that does not fail any more need not be skipped"


def test_every_skipped_check_has_a_reason() -> None:
    assert all(len(each["reason"]) > 20 for each in SKIPPED.values())


def test_the_package_has_everything_that_templates_read(tmp_path: Path) -> None:
    """`.helmignore` leaves out a file without a word, and `.Files.Get` of it is empty."""
    done = helm("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("understudy-*.tgz")
    values = ("--values", str(CHART / "ci" / "full-values.yaml"))
    again = helm("template", RELEASE, str(package), "--namespace", NAMESPACE, "--kube-version", f"{NEWEST}.0", *values)

    assert rendered("full-values.yaml") == objects_in(again.stdout)
