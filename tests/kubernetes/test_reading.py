"""Get and list: selectors, pages, refusals, as Kubernetes' own client sees them."""

import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.kubernetes.answers import Answer, HttpRequest
from tests.kubernetes.api import TOKEN, KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.manifests import NAMESPACE, shell_pod
from tests.kubernetes.objects import serve
from tests.kubernetes.resources import PODS, rights_of_role
from tests.kubernetes.statuses import ApiError


def names(found: Any) -> Sequence[str]:
    return [each.metadata.name for each in found.items]


def test_the_official_client_lists_gets_selects_and_pages(api: KubernetesApi, core: Any) -> None:
    from kubernetes import client as apis

    serve(api.cluster, "digits=10.0.0.9,10.0.0.10,10.0.0.11")
    serve(api.cluster, "letters=10.0.0.12")
    discovery = apis.DiscoveryV1Api(core.api_client)
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
    assert 4 == len(core.list_pod_for_all_namespaces(field_selector="status.phase=Running").items)


def test_the_official_client_is_refused_as_kubernetes_refuses(api: KubernetesApi, core: Any) -> None:
    from kubernetes import client as apis

    api.rights = {TOKEN: {("get", PODS)}}
    with pytest.raises(apis.ApiException) as forbidden:
        core.list_namespaced_pod("serving")
    with pytest.raises(apis.ApiException) as absent:
        core.read_namespaced_pod("digits-9", "serving")

    assert (403, 404) == (forbidden.value.status, absent.value.status)
    assert 'cannot list resource "pods" in API group "" in' in json.loads(forbidden.value.body)["message"]
    assert "NotFound" == json.loads(absent.value.body)["reason"]


def test_the_rights_of_a_role_are_all_that_is_needed_to_run_a_pod_and_not_more(api: KubernetesApi, core: Any) -> None:
    from kubernetes import client as apis

    role = yaml.safe_load("""
    rules:
      - {apiGroups: [""], resources: [pods], verbs: [create, get, list, watch, patch, delete]}
      - {apiGroups: [""], resources: [pods/log], verbs: [get]}
      - {apiGroups: [""], resources: [events], verbs: [get, list]}
    """)
    api.rights = {TOKEN: rights_of_role(role)}
    core.create_namespaced_pod(NAMESPACE, shell_pod("true"))
    core.list_namespaced_event(NAMESPACE)
    with pytest.raises(apis.ApiException, match="403"):
        core.list_namespaced_event(NAMESPACE, watch=True)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=digits", 4),
        ("app==digits", 4),
        ("app!=digits", 0),
        ("app", 4),
        ("!app", 0),
        ("other", 0),
        ("!other", 4),
        ("app=digits,other", 0),
        ("app=digits,other!=True,!another", 4),
        ("other!=1", 4),
        ("app in (letters,digits),!other", 4),
        ("app in (letters)", 0),
        ("app notin (letters)", 4),
        ("other notin (letters)", 4),
    ],
)
def test_label_selectors(selector: str, expected: int) -> None:
    cluster = Cluster()
    serve(cluster, "digits=1,2,3,4")

    assert expected == len(cluster.list(PODS, "serving", {"labelSelector": selector}))
    assert [] == cluster.list(PODS, "another", {"labelSelector": selector})


@pytest.mark.parametrize(
    "query", [{"labelSelector": "app in digits"}, {"fieldSelector": "spec.color=1"}, {"fieldSelector": "metadata.name"}]
)
def test_a_wrong_selector_is_a_bad_request(query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        Cluster().list(PODS, "serving", query)
    assert 400 == refused.value.code


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/namespaces/serving/endpointslices", "/", "/healthz"])
def test_what_it_does_not_know_is_not_found(path: str) -> None:
    known, unknown = (KubernetesApi().respond(HttpRequest("GET", path, who)) for who in (TOKEN, "nobody"))

    assert isinstance(known, Answer)
    assert isinstance(unknown, Answer)
    assert (404, 401) == (known.status, unknown.status)


def test_a_request_without_a_token_is_unauthorized(api: KubernetesApi, tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=api.authority.pem.decode())
    answer = httpx.get(f"{api.address}/api/v1/namespaces/serving/pods", verify=context)

    assert (401, "Status") == (answer.status_code, answer.json()["kind"])
