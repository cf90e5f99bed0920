"""What helm renders is what Kubernetes takes."""

from functools import lru_cache

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from kubernetes_validate import utils

from tests.chart.helm import CHART, NEWEST, OLDEST, VALUES, Manifest, helm, of_kind, rendered

# Their schemas come with the operators and gateways that read them.
NO_SCHEMA = {"GRPCRoute", "HTTPRoute", "HealthCheckPolicy", "PodMonitor", "PodMonitoring"}


@pytest.mark.parametrize("values", VALUES)
def test_helm_lint_finds_nothing_in_any_values_file(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / values))

    assert done.returncode == 0, done.stdout + done.stderr


# It reads a file of some megabytes for each object.
_schema = lru_cache(utils.schema_contents)


@pytest.mark.parametrize("kube", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES)
def test_each_object_fits_the_schema_of_its_kind(values: str, kube: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "schema_contents", _schema)

    objects = rendered(values, kube=kube)

    assert objects
    for each in objects:
        if each["kind"] not in NO_SCHEMA:
            kubernetes_validate.validate(each, kube, strict=True)


def test_the_newest_kubernetes_is_the_newest_that_the_validator_knows() -> None:
    """A newer validator should make the tests render for a newer Kubernetes."""
    latest = kubernetes_validate.latest_version()

    assert latest.rsplit(".", 1)[0] == NEWEST


def test_the_oldest_kubernetes_is_the_one_that_the_chart_asks_for() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert f">={OLDEST}.0-0" == chart["kubeVersion"]


@pytest.mark.parametrize("values", VALUES)
def test_no_object_names_a_namespace_and_no_two_have_the_same_name(values: str) -> None:
    objects = rendered(values)

    assert not [each for each in objects if "namespace" in each["metadata"]]
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
    assert ["u-understudy-digits-cpu"] == targets
    assert set(targets) <= of_kind(objects, "Deployment").keys()
    backends = [
        backend
        for kind in ("HTTPRoute", "GRPCRoute")
        for route in of_kind(objects, kind).values()
        for rule in route["spec"]["rules"]
        for backend in rule["backendRefs"]
    ]
    assert 2 == len(backends)
    for backend in backends:
        assert backend["port"] in [port["port"] for port in services[backend["name"]]["spec"]["ports"]]
