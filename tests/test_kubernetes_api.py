"""The server of `tests.kubernetes_api` answers as Kubernetes does: to Kubernetes' own client, with valid objects."""

import json
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.kubernetes_api import PODS, TOKEN, Cluster, KubernetesApi, endpoint, endpoint_slice, pod, serve


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    cluster = Cluster()
    serve(cluster, "digits=10.0.0.9,10.0.0.10,10.0.0.11")
    serve(cluster, "letters=10.0.0.12")
    with KubernetesApi(cluster) as running:
        yield running


@pytest.fixture
def client(api: KubernetesApi, tmp_path: Path) -> Any:
    """The official client, from the kubeconfig of the server."""
    from kubernetes import config

    file = tmp_path / "kubeconfig"
    file.write_text(api.kubeconfig())
    return config.new_client_from_config(str(file))


def names(found: Any) -> Sequence[str]:
    return [each.metadata.name for each in found.items]


def test_the_official_client_lists_gets_selects_and_pages(client: Any) -> None:
    from kubernetes import client as apis

    with client:
        core, discovery = apis.CoreV1Api(client), apis.DiscoveryV1Api(client)
        label = "kubernetes.io/service-name=digits"
        slices = discovery.list_namespaced_endpoint_slice("serving", label_selector=label)
        page = core.list_namespaced_pod("serving", limit=3)
        rest = core.list_namespaced_pod("serving", limit=3, _continue=page.metadata._continue)
        one = core.list_namespaced_pod("serving", field_selector="metadata.name=digits-1")

        assert ["digits-abc12"] == names(slices)
        assert "10.0.0.9" == slices.items[0].endpoints[0].addresses[0]
        assert ["digits-0", "digits-1", "digits-2"] == names(page)
        assert (["letters-0"], None) == (names(rest), rest.metadata._continue)
        assert ["digits-1"] == names(one)
        assert "uid-of-digits-2" == core.read_namespaced_pod("digits-2", "serving").metadata.uid


def test_the_official_client_is_refused_as_kubernetes_refuses(api: KubernetesApi, client: Any) -> None:
    from kubernetes import client as apis

    api.rights = {TOKEN: {("get", PODS)}}
    with client:
        core = apis.CoreV1Api(client)
        with pytest.raises(apis.ApiException) as forbidden:
            core.list_namespaced_pod("serving")
        with pytest.raises(apis.ApiException) as absent:
            core.read_namespaced_pod("digits-9", "serving")

    assert (403, 404) == (forbidden.value.status, absent.value.status)
    assert 'User cannot list resource "pods"' in json.loads(forbidden.value.body)["message"]


def test_its_objects_are_valid() -> None:
    """...for the schemas of Kubernetes."""
    one = pod("digits-0", restarts=1, ready=False)
    found = endpoint_slice("digits-a", endpoint(one, "10.0.0.9"))

    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **one}, "1.37", strict=True)
    kubernetes_validate.validate(
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", **found}, "1.37", strict=True
    )


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=digits", 4),
        ("app==digits", 4),
        ("app!=digits", 0),
        ("app", 4),
        ("other", 0),
        ("app=digits,other", 0),
        ("other!=1", 4),
    ],
)
def test_label_selectors(selector: str, expected: int) -> None:
    cluster = Cluster()
    serve(cluster, "digits=1,2,3,4")

    assert expected == len(cluster.list(PODS, "serving", {"labelSelector": selector}))
    assert [] == cluster.list(PODS, "another", {"labelSelector": selector})


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/namespaces/serving/endpointslices", "/", "/healthz"])
def test_what_it_does_not_know_is_not_found(path: str) -> None:
    assert 404 == KubernetesApi().respond("GET", path, TOKEN)[0]
    assert 401 == KubernetesApi().respond("GET", path, "nobody")[0]


def test_a_request_without_a_token_is_unauthorized(api: KubernetesApi, tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=api.authority.pem.decode())
    answer = httpx.get(f"{api.address}/api/v1/namespaces/serving/pods", verify=context)

    assert (401, "Status") == (answer.status_code, answer.json()["kind"])
