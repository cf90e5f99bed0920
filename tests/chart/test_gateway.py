"""The gateway of the chart: what it is started with, whom it reaches, and who reaches it."""

from pathlib import Path
from typing import Any

import pytest

from serving.gateway.__main__ import parser, settings_of
from serving.gateway.http.server import DRAIN_SECONDS, GRACE_SECONDS
from serving.gateway.security.keys import digest_of, parse_keys
from serving.gateway.settings import Limits, Settings
from serving.replica import STABLE
from tests.chart.helm import NEWEST, OLDEST, Manifest, containers, notes, of_component, of_kind, rendered

NAME = "u-understudy-gateway"
DIGEST = digest_of("a key")
# On top of values files without one.
ON = ("classifyGateway.enabled=true", f"classifyGateway.keys.hashes.shop=sha256:{DIGEST.hex()} rate=5")
KUBERNETES = ("discovery=kubernetes",)


def gateway(values: str, *sets: str, kube: str = NEWEST) -> dict[str, Any]:
    """The spec of the gateway's pod."""
    found = of_kind(rendered(values, kube=kube, sets=sets), "Deployment")[NAME]
    return dict(found["spec"]["template"]["spec"])


def words(values: str, *sets: str) -> list[str]:
    (container,) = containers(gateway(values, *sets))
    assert ["python", "-m", "serving.gateway"] == container["args"][:3]
    return list(container["args"][3:])


def started(values: str, *sets: str) -> Settings:
    """What the gateway understands of its arguments; those that name files of the pod are left out."""
    return settings_of(parser().parse_args([word for word in words(values, *sets) if not word.startswith("--tls")]))


def test_there_is_none_by_default() -> None:
    assert not of_component(rendered("gke-cpu-values.yaml"), "gateway")
    assert not [name for name in of_kind(rendered("gke-cpu-values.yaml"), "Service") if name.endswith("-pods")]


def test_the_gateway_takes_the_arguments_and_finds_the_pods_of_each_fleet_that_can_answer() -> None:
    settings = started("full-values.yaml")
    services = of_kind(rendered("full-values.yaml"), "Service")

    found = {each.name: (each.source, each.label) for each in settings.models}
    domain = "serving.svc.cluster.local."
    assert {
        "digits": (f"dns://u-understudy-digits-pods.{domain}:8500", STABLE),
        "digits_small": (f"dns://u-understudy-digits-small-pods.{domain}:8500", None),
    } == found
    for fleet in ("digits", "digits-small"):
        spec = services[f"u-understudy-{fleet}-pods"]["spec"]
        assert ("None", fleet) == (spec["clusterIP"], spec["selector"]["fleet"])
        assert "publishNotReadyAddresses" not in spec, "a pod without a version cannot answer"


def test_a_model_in_its_image_has_no_labels() -> None:
    (model,) = started("baked-values.yaml", *ON).models

    assert model.label is None


def test_with_discovery_kubernetes_it_asks_the_api_and_has_the_rights_for_that() -> None:
    values, sets = "full-values.yaml", KUBERNETES
    objects = rendered(values, sets=sets)
    subjects = of_kind(objects, "RoleBinding")["u-understudy-replicas"]["subjects"]

    sources = {each.name: each.source for each in started(values, *sets).models}
    assert "kubernetes://serving/u-understudy-digits-small:8500" == sources["digits_small"]
    assert gateway(values, *sets)["automountServiceAccountToken"] is True
    assert NAME in [each["name"] for each in subjects]
    assert 6443 in {port for rule in egress(objects) for port in rule}
    assert not [name for name in of_kind(objects, "Service") if name.endswith("-pods")]


def test_with_dns_it_has_no_token_and_no_rights() -> None:
    objects = rendered("full-values.yaml")
    subjects = of_kind(objects, "RoleBinding")["u-understudy-replicas"]["subjects"]

    assert gateway("full-values.yaml")["automountServiceAccountToken"] is False
    assert of_kind(objects, "ServiceAccount")[NAME]["automountServiceAccountToken"] is False
    assert NAME not in [each["name"] for each in subjects]


def test_the_limits_of_the_values_are_those_of_the_gateway() -> None:
    """...and reach it as numbers: helm writes large ones as 5e+07."""
    assert Limits() == started("minikube-values.yaml", *ON).limits
    changed = started("minikube-values.yaml", *ON, "classifyGateway.limits.bodyBytes=1048576").limits
    assert 1048576 == changed.body_bytes


def test_keys_of_the_values_are_the_file_of_a_secret_that_the_pod_mounts_as_a_folder() -> None:
    """Of a single file a pod that runs sees no change."""
    objects = rendered("minikube-values.yaml", sets=ON)
    secret = of_kind(objects, "Secret")[f"{NAME}-keys"]
    pod = gateway("minikube-values.yaml", *ON)
    (mount,) = [each for each in containers(pod)[0]["volumeMounts"] if each["name"] == "keys"]

    (key,) = parse_keys(secret["stringData"]["keys"])
    assert ("shop", DIGEST, 5.0) == (key.name, key.digest, key.rate)
    assert "/etc/understudy/keys/keys" == str(started("minikube-values.yaml", *ON).keys)
    assert ("/etc/understudy/keys", True, None) == (mount["mountPath"], mount["readOnly"], mount.get("subPath"))
    assert f"{NAME}-keys" == volume(pod, "keys")["secret"]["secretName"]


def test_an_existing_secret_takes_the_place_of_the_values() -> None:
    objects = rendered("full-values.yaml")

    assert not of_kind(objects, "Secret")
    assert "gateway-keys" == volume(gateway("full-values.yaml"), "keys")["secret"]["secretName"]


def test_connections_to_the_servers_are_encrypted_with_the_files_of_a_secret() -> None:
    files = {word.partition("=")[0]: word.partition("=")[2] for word in words("full-values.yaml") if "--tls" in word}

    assert {
        "--tls-ca": "/etc/understudy/tls/ca.crt",
        "--tls-certificate": "/etc/understudy/tls/tls.crt",
        "--tls-key": "/etc/understudy/tls/tls.key",
        "--tls-server-name": "serving.example.com",
    } == files
    assert parser().parse_args(words("full-values.yaml")).tls_server_name == "serving.example.com"
    assert "replicas-tls" == volume(gateway("full-values.yaml"), "tls")["secret"]["secretName"]
    only_authority = words("full-values.yaml", "classifyGateway.tls.clientCertificate=false")
    assert {"--tls-ca", "--tls-server-name"} == {word.partition("=")[0] for word in only_authority if "--tls" in word}


def volume(pod: Manifest, name: str) -> Manifest:
    (found,) = [each for each in pod["volumes"] if each["name"] == name]
    return dict(found)


def test_ports_of_arguments_container_service_and_monitor_are_the_same() -> None:
    objects = rendered("full-values.yaml")
    settings = started("full-values.yaml")
    (container,) = containers(gateway("full-values.yaml"))
    (port,) = of_kind(objects, "Service")[NAME]["spec"]["ports"]
    (endpoint,) = of_kind(objects, "PodMonitor")[NAME]["spec"]["podMetricsEndpoints"]

    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert {"http": settings.port, "metrics": settings.metrics_port} == ports
    assert ("http", "metrics", "/metrics") == (port["targetPort"], endpoint["port"], endpoint["path"])
    assert "0.0.0.0" == settings.host == settings.metrics_host  # noqa: S104 - a policy says who reaches it
    google = rendered("gke-cpu-values.yaml", sets=ON)
    assert "metrics" == of_kind(google, "PodMonitoring")[NAME]["spec"]["endpoints"][0]["port"]


def test_a_pod_that_ends_has_time_for_the_requests_in_flight() -> None:
    pod = gateway("minikube-values.yaml", *ON)

    drain = containers(pod)[0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert drain + DRAIN_SECONDS + GRACE_SECONDS < pod["terminationGracePeriodSeconds"]


def test_before_kubernetes_1_30_a_program_of_the_image_waits() -> None:
    hook = containers(gateway("minikube-values.yaml", *ON, kube=OLDEST))[0]["lifecycle"]["preStop"]

    assert {"exec": {"command": ["sleep", "10"]}} == hook


def test_a_model_that_does_not_answer_takes_no_pod_from_the_others() -> None:
    (container,) = containers(gateway("full-values.yaml"))

    probes = {container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {"/healthz"} == probes


def egress(objects: tuple[Manifest, ...]) -> list[list[int]]:
    """The ports of each rule."""
    rules = of_kind(objects, "NetworkPolicy")[NAME]["spec"]["egress"]
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def test_it_reaches_the_servers_by_grpc_and_dns_and_nothing_else() -> None:
    objects = rendered("full-values.yaml")
    rules = of_kind(objects, "NetworkPolicy")[NAME]["spec"]["egress"]

    assert [[53, 53], [8500]] == egress(objects)
    (peer,) = rules[1]["to"]
    assert "serving" == peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
    assert "namespaceSelector" not in peer, "those of this namespace"


@pytest.mark.parametrize("fleet", ["digits", "digits-small"])
def test_the_servers_let_it_in(fleet: str) -> None:
    objects = rendered("full-values.yaml")
    labels = of_kind(objects, "Deployment")[NAME]["spec"]["template"]["metadata"]["labels"]
    rules = of_kind(objects, "NetworkPolicy")[f"u-understudy-{fleet}"]["spec"]["ingress"]

    let_in = [
        [port["port"] for port in rule["ports"]]
        for rule in rules
        for peer in rule["from"]
        if "namespaceSelector" not in peer
        and "podSelector" in peer
        and peer["podSelector"]["matchLabels"].items() <= labels.items()
    ]
    assert [["grpc"]] == let_in


def test_only_its_clients_ask_it_and_only_prometheus_reads_its_metrics() -> None:
    rules = of_kind(rendered("full-values.yaml"), "NetworkPolicy")[NAME]["spec"]["ingress"]

    asked, read = ([port["port"] for port in rule["ports"]] for rule in rules)
    assert (["http"], ["metrics"]) == (asked, read)
    assert 2 == len(rules[0]["from"]), "the Ingress controller, and the Gateway"
    assert not of_kind(rendered("minikube-values.yaml", sets=ON), "NetworkPolicy")[NAME]["spec"].get("ingress")


def test_it_is_reached_from_outside_by_its_own_host_names_only() -> None:
    objects = of_component(rendered("full-values.yaml"), "gateway")
    ingress, route = of_kind(objects, "Ingress")[NAME]["spec"], of_kind(objects, "HTTPRoute")[NAME]["spec"]

    assert ["classify.example.com"] == [rule["host"] for rule in ingress["rules"]]
    assert [{"hosts": ["classify.example.com"], "secretName": "classify-tls"}] == ingress["tls"]
    assert (["images.example.com"], "external") == (route["hostnames"], route["parentRefs"][0]["name"])
    for rule in ingress["rules"]:
        assert [(NAME, "http")] == [
            (path["backend"]["service"]["name"], path["backend"]["service"]["port"]["name"])
            for path in rule["http"]["paths"]
        ]


@pytest.mark.parametrize(
    ("sets", "warned"),
    [
        (ON, True),
        (
            (*ON, "classifyGateway.clients.ingress.namespace=ingress-nginx", "networkPolicy.clients.a.namespace=b"),
            False,
        ),
        ((*ON, "networkPolicy.enabled=false"), False),
        ((), False),
    ],
)
def test_the_notes_warn_where_nobody_reaches_it(sets: tuple[str, ...], warned: bool, tmp_path: Path) -> None:
    assert warned is ("WARNING: classifyGateway.clients is empty" in notes("minikube-values.yaml", sets, tmp_path))


@pytest.mark.parametrize(("more", "scheme"), [((), "http"), (("classifyGateway.ingress.tlsSecretName=tls",), "https")])
def test_the_notes_have_its_address_and_warn_where_keys_are_not_encrypted(
    more: tuple[str, ...], scheme: str, tmp_path: Path
) -> None:
    text = notes("minikube-values.yaml", (*ON, "classifyGateway.ingress.host=a.example", *more), tmp_path)

    assert f" {scheme}://a.example/\n" in text
    assert ("WARNING: classifyGateway.ingress.tlsSecretName is empty" in text) is (scheme == "http")
    assert "http://u-understudy-gateway.default/v1/classify/digits" in text
