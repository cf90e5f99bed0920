"""What helm renders is what Kubernetes takes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.helm import (
    CHART,
    NEWEST,
    OLDEST,
    VALUES,
    Manifest,
    containers,
    helm,
    objects_in,
    of_kind,
    pods,
    rendered,
)
from tests.chart.schemas import require_fit

# Their schemas come with the operators and gateways that read them.
NO_SCHEMA = {"GRPCRoute", "HTTPRoute", "HealthCheckPolicy", "PodMonitor", "PodMonitoring"}


@pytest.mark.parametrize("values", VALUES)
def test_helm_lint_finds_nothing_in_any_values_file(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / values))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kube", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES)
def test_each_object_fits_the_schema_of_its_kind(values: str, kube: str) -> None:
    objects = rendered(values, kube=kube)

    assert objects
    for each in objects:
        if each["kind"] not in NO_SCHEMA:
            require_fit(each, kube)


# Names that YAML takes for a truth or a number if nothing says that they are text.
ODD = """
fleets:
  "on": {root: "gs://b/p", gateway: {name: "1", namespace: "2", sectionName: "3", host: "4", grpcHost: "5"},
         groups: {"no": {replicas: 1, firstRing: true}, "y": {autoscaling: {maxReplicas: 3}}}}
  "off": {root: /bucket, existingClaim: "6", ingress: {host: "7", className: "8", tlsSecretName: "9"},
          groups: {"null": {replicas: 1}}}
  "true": {root: "s3://b/p", s3: {secretName: "10"}, syncSizeLimit: "11", groups: {"n": {cpu: "12"}}}
imagePullSecrets: ["13"]
priorityClassName: "14"
nameOverride: "null"
fullnameOverride: "yes"
serviceAccount: {name: "15"}
pipelineServiceAccount: {name: "16"}
rbac: {airflowNamespace: "17", airflowServiceAccounts: ["18"]}
classifyGateway: {enabled: true, keys: {secretName: "22"}, tls: {secretName: "23", serverName: "24"},
                  clients: {a: {namespace: "25"}}, ingress: {host: "26", tlsSecretName: "27"},
                  route: {gatewayName: "1", namespace: "2", sectionName: "3", host: "28"}}
networkPolicy: {clients: {a: {namespace: "19", podLabels: {a: "20"}}}}
"""


def test_names_that_look_like_numbers_or_truths_stay_text(tmp_path: Path) -> None:
    """In the release 21 in the namespace 123."""
    (tmp_path / "odd.yaml").write_text(ODD)
    words = ("--namespace", "123", "--kube-version", f"{NEWEST}.0", "--values", str(tmp_path / "odd.yaml"))

    done = helm("template", "21", str(CHART), *words)

    assert done.returncode == 0, done.stderr
    objects = objects_in(done.stdout)
    for each in objects:
        assert not [value for labels in _labels(each) for value in labels.values() if not isinstance(value, str)], each
        if each["kind"] not in NO_SCHEMA:
            require_fit(each, NEWEST)
    routes = [route["spec"] for kind in ("HTTPRoute", "GRPCRoute") for route in of_kind(objects, kind).values()]
    parent = {"name": "1", "namespace": "2", "sectionName": "3"}
    assert [([parent], [host]) for host in ("28", "4", "5")] == [
        (each["parentRefs"], each["hostnames"]) for each in routes
    ]
    arguments = [word for pod in pods(objects).values() for part in containers(pod) for word in part["args"]]
    assert not [word for word in arguments if not isinstance(word, str)]
    assert {"on", "off", "true", "no", "none", "yes-on.123.svc.cluster.local:8500"} <= {*arguments}


def _labels(part: Any) -> Iterator[Mapping[str, Any]]:
    """All maps of labels in an object, wherever they are."""
    if isinstance(part, dict):
        for name, inner in part.items():
            if name in ("labels", "matchLabels", "nodeSelector") and isinstance(inner, dict):
                yield inner
            yield from _labels(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _labels(inner)


def test_the_newest_kubernetes_is_the_newest_that_the_validator_knows() -> None:
    """A newer validator should make the tests render for a newer Kubernetes."""
    latest = kubernetes_validate.latest_version()

    assert latest.rsplit(".", 1)[0] == NEWEST


def test_the_oldest_kubernetes_is_the_one_that_the_chart_asks_for() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert f">={OLDEST}.0-0" == chart["kubeVersion"]


@pytest.mark.parametrize("values", VALUES)
def test_no_object_names_a_namespace_and_no_two_have_the_same_name(values: str) -> None:
    """...but for the file that Airflow mounts: it is in the namespace of Airflow."""
    objects = rendered(values)

    others = [each["metadata"]["name"] for each in objects if "namespace" in each["metadata"]]
    assert [*of_kind(objects, "ConfigMap").keys() & {"u-understudy-pods"}] == others
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("values", VALUES)
def test_every_object_has_the_labels_of_the_chart(values: str) -> None:
    labels = {
        "app.kubernetes.io/name": "understudy",
        "app.kubernetes.io/instance": "u",
        "app.kubernetes.io/part-of": "understudy",
        "app.kubernetes.io/managed-by": "Helm",
    }

    for each in rendered(values):
        assert labels.items() <= each["metadata"]["labels"].items(), each["metadata"]["name"]


@pytest.mark.parametrize("values", VALUES)
def test_every_service_monitor_and_policy_selects_the_pods_it_is_for(values: str) -> None:
    """A selector that fits no pod is accepted by Kubernetes, and nothing works."""
    objects = rendered(values)
    labels = [
        each["spec"]["template"]["metadata"]["labels"] for each in objects if each["kind"] in ("Deployment", "Job")
    ]
    labels += [each["metadata"]["labels"] for each in objects if each["kind"] == "Pod"]
    selectors = [_selector(each) for each in objects]

    for selector in filter(None, selectors):
        if selector.get("app.kubernetes.io/component") == "pipeline" and values == "baked-values.yaml":
            continue  # no Job
        assert [each for each in labels if selector.items() <= each.items()], selector


def _selector(each: Manifest) -> dict[str, str] | None:
    spec = each.get("spec", {})
    match each["kind"]:
        case "Service":
            return dict(spec["selector"])
        case "Deployment" | "PodDisruptionBudget" | "PodMonitor" | "PodMonitoring":
            return dict(spec["selector"]["matchLabels"])
        case "NetworkPolicy":
            return dict(spec["podSelector"]["matchLabels"])
    return None


def test_the_autoscaler_and_the_routes_name_objects_that_exist() -> None:
    objects = rendered("full-values.yaml")
    services = of_kind(objects, "Service")

    targets = [each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler").values()]
    assert ["u-understudy-digits-cpu", "u-understudy-gateway"] == sorted(targets)
    assert set(targets) <= of_kind(objects, "Deployment").keys()
    backends = [
        backend
        for kind in ("HTTPRoute", "GRPCRoute")
        for route in of_kind(objects, kind).values()
        for rule in route["spec"]["rules"]
        for backend in rule["backendRefs"]
    ]
    assert 3 == len(backends)
    for backend in backends:
        assert backend["port"] in [port["port"] for port in services[backend["name"]]["spec"]["ports"]]
