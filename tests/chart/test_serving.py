"""What the model servers of the chart are started with, and when Kubernetes starts, asks and ends them."""

import pytest

from serving.server_flags import BasePathSource, ConfigSource, Source, required_flags
from tests.chart.helm import NEWEST, OLDEST, VALUES, Manifest, of_component, of_kind, rendered, server

ROOTS = {
    "gke-cpu-values.yaml": "gs://my-models/understudy",
    "s3-values.yaml": "/srv/understudy",
    "minikube-values.yaml": "/bucket",
}
LATEST = ("fleets.digits.rollout=latest",)


def deployment(values: str, group: str, *sets: str, kube: str = NEWEST, model: str = "digits") -> Manifest:
    return of_kind(rendered(values, kube=kube, sets=sets), "Deployment")[f"u-understudy-{model}-{group}"]


def flags(container: Manifest) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in container["args"])


@pytest.mark.parametrize(("group", "folder"), [("first", "first_ring"), ("rest", "serve")])
@pytest.mark.parametrize("values", ROOTS)
@pytest.mark.parametrize("rollout", ["pinned", "latest"])
def test_a_server_has_the_flags_without_which_it_follows_no_release(
    values: str, rollout: str, group: str, folder: str
) -> None:
    """...and `pollSeconds` is how often it looks for anything."""
    source: Source = ConfigSource(uri=f"{ROOTS[values]}/{folder}/digits.config", poll_seconds=7)
    if rollout == "latest":
        source = BasePathSource(model="digits", uri=f"{ROOTS[values]}/{folder}/digits", poll_seconds=7)

    sets = (f"fleets.digits.rollout={rollout}", "fleets.digits.pollSeconds=7")
    container = server(deployment(values, group, *sets))

    assert ["tensorflow_model_server"] == container["command"]
    assert set(required_flags(source)) <= set(container["args"])


def test_a_model_in_the_image_is_served_from_its_folder_there() -> None:
    container = server(deployment("baked-values.yaml", "all"))

    assert "registry.example.com/understudy-serving-digits:7" == container["image"]
    assert set(required_flags(BasePathSource(model="digits", uri="/models"))) <= set(container["args"])


@pytest.mark.parametrize("values", VALUES)
def test_ports_of_flags_container_and_services_are_the_same(values: str) -> None:
    objects = of_component(rendered(values), "serving")
    for each in of_kind(objects, "Deployment").values():
        ports = {port["name"]: str(port["containerPort"]) for port in server(each)["ports"]}
        assert {"grpc": flags(server(each))["port"], "rest": flags(server(each))["rest_api_port"]} == ports
    for service in of_kind(objects, "Service").values():
        assert {"grpc", "rest"} >= {port["targetPort"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("values", VALUES)
def test_files_that_flags_name_are_in_the_config_map(values: str) -> None:
    objects = rendered(values)
    maps = of_kind(objects, "ConfigMap")

    for each in of_kind(of_component(objects, "serving"), "Deployment").values():
        pod, given = each["spec"]["template"]["spec"], flags(server(each))
        (name,) = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config"]
        for flag in ("monitoring_config_file", "batching_parameters_file"):
            if flag in given:
                assert given[flag].removeprefix("/etc/understudy/") in maps[name]["data"]


def test_a_pod_is_ready_when_the_version_behind_the_label_is_loaded() -> None:
    pinned = server(deployment("gke-cpu-values.yaml", "rest"))["readinessProbe"]["httpGet"]["path"]
    latest = server(deployment("gke-cpu-values.yaml", "rest", *LATEST))["readinessProbe"]["httpGet"]["path"]
    baked = server(deployment("baked-values.yaml", "all"))["readinessProbe"]["httpGet"]["path"]

    assert "/v1/models/digits/labels/stable/metadata" == pinned
    assert "/v1/models/digits/metadata" == latest == baked


def test_a_server_that_loads_for_as_long_as_it_may_is_not_started_again() -> None:
    container = server(deployment("gke-cpu-values.yaml", "rest", "fleets.digits.startupSeconds=1200"))

    probe = container["startupProbe"]
    assert 1200 == probe["periodSeconds"] * probe["failureThreshold"]
    # The same question, so that a server that was started is alive.
    assert probe["grpc"] == container["livenessProbe"]["grpc"]
    assert "true" == flags(container)["enable_grpc_healthcheck_service"]


def test_a_pod_that_ends_waits_longer_than_a_connection_lives_and_shorter_than_it_may() -> None:
    pod = deployment("gke-cpu-values.yaml", "rest")["spec"]["template"]["spec"]

    (container,) = pod["containers"]
    age = int(flags(container)["grpc_channel_arguments"].removeprefix("grpc.max_connection_age_ms="))
    drain = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert age / 1000 < drain < pod["terminationGracePeriodSeconds"]


def test_before_kubernetes_1_30_a_program_of_the_image_waits() -> None:
    """The sleep action is off by default in 1.29."""
    hook = server(deployment("gke-cpu-values.yaml", "rest", kube=OLDEST))["lifecycle"]["preStop"]

    assert {"exec": {"command": ["sleep", "20"]}} == hook


def test_an_upgrade_takes_no_capacity_away_unless_there_is_no_spare_gpu() -> None:
    spare = deployment("gke-cpu-values.yaml", "rest")["spec"]["strategy"]["rollingUpdate"]
    none = deployment("gke-gpu-values.yaml", "rest")["spec"]["strategy"]["rollingUpdate"]

    assert {"maxSurge": 1, "maxUnavailable": 0} == spare
    assert {"maxSurge": 0, "maxUnavailable": 1} == none


def test_memory_is_for_two_versions_of_the_model() -> None:
    resources = server(
        deployment("gke-cpu-values.yaml", "rest", "fleets.digits.baseMemoryMi=500", "fleets.digits.modelMemoryMi=1000")
    )["resources"]

    assert "2500Mi" == resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_group_with_gpus_has_their_image_limit_and_nodes() -> None:
    gpu = deployment("full-values.yaml", "gpu")["spec"]["template"]["spec"]
    cpu = deployment("full-values.yaml", "first")["spec"]["template"]["spec"]

    assert "tensorflow/serving:2.21.0-gpu" == gpu["containers"][0]["image"]
    assert 1 == gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    assert {"cloud.google.com/gke-accelerator": "nvidia-l4"} == gpu["nodeSelector"]
    assert [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}] == gpu["tolerations"]
    assert "tensorflow/serving:2.21.0" == cpu["containers"][0]["image"]
    assert not {"nodeSelector", "tolerations"} & cpu.keys()


def test_the_values_for_gpus_go_on_top_of_those_for_gke() -> None:
    objects = rendered("gke-cpu-values.yaml", "gke-gpu-values.yaml")

    for each in of_kind(objects, "Deployment").values():
        assert "tensorflow/serving:2.21.0-gpu" == server(each)["image"]
    accounts = of_kind(objects, "ServiceAccount")
    assert "iam.gke.io/gcp-service-account" in accounts["u-understudy-serving"]["metadata"]["annotations"]
    (autoscaler,) = of_kind(objects, "HorizontalPodAutoscaler").values()
    assert 4 == autoscaler["spec"]["maxReplicas"]


def test_a_server_starts_after_the_sidecar_has_copied_its_config() -> None:
    """Without the config it would exit. A container of this kind runs on, and ends after the server."""
    pod = deployment("s3-values.yaml", "first")["spec"]["template"]["spec"]

    (sidecar,) = pod["initContainers"]
    assert "Always" == sidecar["restartPolicy"]
    assert flags(pod["containers"][0])["model_config_file"] == sidecar["startupProbe"]["exec"]["command"][-1]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["bucket"]["readOnly"], "the server only reads what the sidecar writes"
    limits = {each["name"]: each["emptyDir"]["sizeLimit"] for each in pod["volumes"] if "emptyDir" in each}
    assert {"bucket": "4Gi", "tmp": "4Gi"} == limits, "a version is downloaded to one before it is copied to the other"


def test_servers_mount_a_volume_read_only_and_the_job_does_not() -> None:
    objects = rendered("minikube-values.yaml")

    pod = of_kind(objects, "Deployment")["u-understudy-digits-rest"]["spec"]["template"]["spec"]
    claims = [each["persistentVolumeClaim"] for each in pod["volumes"] if each["name"] == "bucket"]
    assert [{"claimName": "understudy-bucket", "readOnly": True}] == claims
    job = of_kind(objects, "Job")["u-understudy-digits-init"]["spec"]["template"]["spec"]
    assert {"claimName": "understudy-bucket"} in [each.get("persistentVolumeClaim") for each in job["volumes"]]


def test_a_changed_batching_starts_servers_again_and_another_version_of_the_chart_does_not() -> None:
    before = deployment("gke-cpu-values.yaml", "rest")["spec"]["template"]["metadata"]
    after = deployment("gke-cpu-values.yaml", "rest", "fleets.digits.batching=false")["spec"]["template"]["metadata"]

    assert before["annotations"]["checksum/config"] != after["annotations"]["checksum/config"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & before["labels"].keys()


def test_the_pipeline_finds_each_pod_of_a_group_before_it_is_ready() -> None:
    """Otherwise the first release can never start: pods are ready once it is done."""
    services = of_kind(rendered("gke-cpu-values.yaml"), "Service")

    for group in ("first", "rest"):
        spec = services[f"u-understudy-digits-{group}"]["spec"]
        assert ("None", True, group) == (spec["clusterIP"], spec["publishNotReadyAddresses"], spec["selector"]["group"])
    clients = services["u-understudy-digits"]["spec"]
    assert "group" not in clients["selector"]
    assert not clients.get("publishNotReadyAddresses")


def test_an_autoscaled_group_has_no_number_of_pods_and_the_others_have() -> None:
    objects = rendered("gke-cpu-values.yaml")
    deployments = of_kind(objects, "Deployment")

    assert "replicas" not in deployments["u-understudy-digits-rest"]["spec"]
    assert 1 == deployments["u-understudy-digits-first"]["spec"]["replicas"]
    assert ["u-understudy-digits-rest"] == [*of_kind(objects, "HorizontalPodAutoscaler")]


def test_an_autoscaler_waits_until_a_new_pod_has_loaded() -> None:
    (autoscaler,) = of_kind(rendered("gke-cpu-values.yaml"), "HorizontalPodAutoscaler").values()

    assert 60 == autoscaler["spec"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"]


def test_an_upgrade_is_not_given_up_while_a_pod_may_still_start() -> None:
    spec = deployment("gke-cpu-values.yaml", "rest", "fleets.digits.startupSeconds=1200")["spec"]

    assert 1260 == spec["progressDeadlineSeconds"]


def test_a_large_number_is_given_to_a_server_as_digits() -> None:
    """Go writes 2500000000 as 2.5e+09, and the server refuses that."""
    sets = [f"fleets.digits.flags.{name}={value}" for name, value in LARGE.items()]

    given = flags(server(deployment("minikube-values.yaml", "rest", *sets)))

    assert LARGE.items() <= given.items()


LARGE = {
    "max_bytes": "2500000000",
    "max_millions": "1000000",
    "per_process_gpu_memory_fraction": "0.35",
    "prefer_tflite_model": "true",
}


@pytest.mark.parametrize(("limit", "request_"), [("4Gi", "8Gi"), ("1.5Gi", "3Gi"), ("1500000.5Ki", "3000001Ki")])
def test_a_pod_that_copies_asks_for_the_disk_it_may_fill(limit: str, request_: str) -> None:
    pod = deployment("s3-values.yaml", "rest", f"fleets.digits.syncSizeLimit={limit}")["spec"]["template"]["spec"]

    (sidecar,) = pod["initContainers"]
    assert request_ == sidecar["resources"]["requests"]["ephemeral-storage"]


def test_a_fleet_has_one_budget_for_disruptions() -> None:
    (budget,) = of_kind(rendered("gke-cpu-values.yaml"), "PodDisruptionBudget").values()

    assert 1 == budget["spec"]["maxUnavailable"]
    assert "AlwaysAllow" == budget["spec"]["unhealthyPodEvictionPolicy"], (
        "a node can be drained before the first release"
    )


def test_metrics_are_read_from_every_pod_with_the_labels_of_the_dashboard() -> None:
    (operator,) = of_kind(of_component(rendered("full-values.yaml"), "serving"), "PodMonitor").values()
    (google,) = of_kind(rendered("gke-cpu-values.yaml"), "PodMonitoring").values()

    (endpoint,) = operator["spec"]["podMetricsEndpoints"]
    assert ("rest", "/monitoring/prometheus/metrics") == (endpoint["port"], endpoint["path"])
    assert ["fleet", "group", "ring"] == operator["spec"]["podTargetLabels"]
    assert ["fleet", "group", "ring"] == [each["from"] for each in google["spec"]["targetLabels"]["fromPod"]]


# What clients ask of a model by REST.
ASKED = ["", "/metadata", ":predict", ":classify", ":regress", "/labels/stable:predict", "/versions/7:predict"]


def passes(path: str, matches: list[tuple[str, str]]) -> bool:
    """Whether a path is let through. Ingress and Gateway compare prefixes by whole elements, between slashes."""
    elements = path.split("/")
    for kind, value in matches:
        if kind == "Exact":
            if path == value:
                return True
            continue
        assert kind in ("Prefix", "PathPrefix")
        wanted = value.split("/")
        if elements[: len(wanted)] == wanted:
            return True
    return False


def test_a_prefix_is_compared_by_whole_elements() -> None:
    prefix = [("Prefix", "/v1/models/digits")]

    assert passes("/v1/models/digits/labels/stable:predict", prefix)
    assert not passes("/v1/models/digits:predict", prefix)
    assert not passes("/v1/models/digits_small", prefix)


def test_what_is_exposed_outside_is_one_model_and_no_way_to_change_it() -> None:
    objects = of_component(rendered("full-values.yaml"), "serving")

    (ingress,) = of_kind(objects, "Ingress").values()
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    ingress_paths = [(path["pathType"], path["path"])]
    (rest,) = of_kind(objects, "HTTPRoute").values()
    matches = [match["path"] for rule in rest["spec"]["rules"] for match in rule["matches"]]
    route_paths = [(each["type"], each["value"]) for each in matches]
    for model, paths in (("digits_small", ingress_paths), ("digits", route_paths)):
        for what in ASKED:
            assert passes(f"/v1/models/{model}{what}", paths), what
        assert not passes("/monitoring/prometheus/metrics", paths)
        assert not passes("/", paths)
    assert not passes("/v1/models/digits_small", route_paths), "another model that the host may have a route to"
    (grpc,) = of_kind(objects, "GRPCRoute").values()
    services = {match["method"]["service"] for rule in grpc["spec"]["rules"] for match in rule["matches"]}
    assert {"tensorflow.serving.PredictionService", "grpc.health.v1.Health"} == services


def test_a_gateway_of_gke_asks_what_the_readiness_probe_asks() -> None:
    """Its own question, the path /, is answered with 404."""
    objects = rendered("full-values.yaml")
    (policy,) = of_kind(objects, "HealthCheckPolicy").values()

    check = policy["spec"]["default"]["config"]["httpHealthCheck"]
    probe = server(of_kind(objects, "Deployment")["u-understudy-digits-cpu"])["readinessProbe"]["httpGet"]
    assert (8501, probe["path"]) == (check["port"], check["requestPath"])
    assert policy["spec"]["targetRef"]["name"] in of_kind(objects, "Service")


def test_nothing_is_exposed_outside_by_default() -> None:
    objects = rendered("gke-cpu-values.yaml")

    assert not {"Ingress", "HTTPRoute", "GRPCRoute"} & {each["kind"] for each in objects}
    assert {"ClusterIP"} == {each["spec"].get("type", "ClusterIP") for each in of_kind(objects, "Service").values()}
