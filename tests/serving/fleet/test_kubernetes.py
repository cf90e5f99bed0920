"""`kubernetes://`: the pods behind a Service, from a server that speaks the Kubernetes API."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from serving.errors import DiscoveryError
from serving.fleet.fleet import parse_fleet
from serving.fleet.kubernetes import KubernetesSource, PodReplica, parse_kubernetes
from serving.fleet.sources import parse_source
from tests.kubernetes.api import TOKEN, KubernetesApi
from tests.kubernetes.objects import endpoint, endpoint_slice, pod
from tests.kubernetes.resources import PODS, SLICES

URI = "kubernetes://serving/digits:8500"
FIRST, SECOND = pod("digits-0"), pod("digits-1")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[KubernetesApi]:
    """With a Service of two pods, in the current context of a kubeconfig."""
    with KubernetesApi() as running:
        running.cluster.put(PODS, FIRST, SECOND)
        running.cluster.put(
            SLICES, endpoint_slice("digits-a", endpoint(FIRST, "10.0.0.9"), endpoint(SECOND, "10.0.0.10"))
        )
        file = tmp_path / "kubeconfig"
        file.write_text(running.kubeconfig())
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield running


def addresses(text: str = URI) -> set[str]:
    return set(parse_source(text).addresses())


def restarts(port: int) -> dict[str, int]:
    return {each.name: each.restarts for each in KubernetesSource("serving", "digits", port).replicas()}


def refused(problem: str) -> AbstractContextManager[pytest.ExceptionInfo[DiscoveryError]]:
    return pytest.raises(DiscoveryError, match=re.escape(problem))


@pytest.mark.usefixtures("api")
def test_the_pods_behind_a_service_are_the_replicas() -> None:
    assert {"10.0.0.9:8500", "10.0.0.10:8500"} == addresses()


def test_a_replica_has_the_name_the_uid_and_the_restarts_of_its_pod(api: KubernetesApi) -> None:
    """F22: what tells a restarted server and another pod from the one before."""
    api.cluster.put(PODS, pod("digits-0", uid="7f3a", restarts=3))
    api.cluster.put(SLICES, endpoint_slice("digits-a", endpoint(pod("digits-0", uid="7f3a"), "10.0.0.9")))

    expected = PodReplica("10.0.0.9:8500", name="digits-0", uid="7f3a", restarts=3, ready=True)
    assert (expected,) == parse_kubernetes("serving/digits:8500").replicas()


def test_the_restarts_are_those_of_the_container_that_declares_the_port(api: KubernetesApi) -> None:
    """A restarted helper container is no restarted server."""
    helped = pod("digits-0", restarts=1)
    helped["spec"]["containers"].append({"name": "helper"})
    helped["status"]["containerStatuses"].append({"name": "helper", "restartCount": 7})
    api.cluster.put(PODS, helped)

    assert {"digits-0": 1, "digits-1": 0} == restarts(8500)
    # No container declares this one.
    assert {"digits-0": 8, "digits-1": 0} == restarts(9000)


def test_a_pod_that_is_not_ready_is_a_replica(api: KubernetesApi) -> None:
    """Before the first release no pod is ready, and the release must find them."""
    api.cluster.put(PODS, pod("digits-0", ready=False), pod("digits-1", ready=False))

    assert {"10.0.0.9:8500", "10.0.0.10:8500"} == addresses()
    assert [False, False] == [each.ready for each in KubernetesSource("serving", "digits", 8500).replicas()]


def test_a_pod_that_is_about_to_end_is_no_replica(api: KubernetesApi) -> None:
    api.cluster.put(PODS, pod("digits-0", ending=True))

    assert {"10.0.0.10:8500"} == addresses()


def test_an_endpoint_that_is_about_to_end_is_no_replica(api: KubernetesApi) -> None:
    ending = endpoint(FIRST, "10.0.0.9", terminating=True)
    api.cluster.put(SLICES, endpoint_slice("digits-a", ending, endpoint(SECOND, "10.0.0.10")))

    assert {"10.0.0.10:8500"} == addresses()


def test_an_endpoint_whose_pod_is_gone_is_no_replica(api: KubernetesApi) -> None:
    """The slices follow the pods a moment later."""
    api.cluster.remove(PODS, "digits-0")

    assert {"10.0.0.10:8500"} == addresses()


def test_another_pod_of_the_same_name_is_not_at_the_address_of_the_one_before(api: KubernetesApi) -> None:
    """A StatefulSet gives a name again. The new pod has an address of its own."""
    api.cluster.put(PODS, pod("digits-0", uid="another"))

    assert {"10.0.0.10:8500"} == addresses()


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_no_replica(api: KubernetesApi, phase: str) -> None:
    """An evicted pod stays in the list, with the phase Failed."""
    ended = pod("digits-0")
    ended["status"]["phase"] = phase
    api.cluster.put(PODS, ended)

    assert {"10.0.0.10:8500"} == addresses()


def test_an_endpoint_without_a_pod_is_no_replica(api: KubernetesApi) -> None:
    by_hand = {"addresses": ["192.0.2.7"]}
    api.cluster.put(SLICES, endpoint_slice("digits-a", by_hand, endpoint(SECOND, "10.0.0.10")))

    assert {"10.0.0.10:8500"} == addresses()


def test_an_endpoint_in_two_slices_is_one_replica(api: KubernetesApi) -> None:
    """While Kubernetes moves it from one to the other, it is in both."""
    api.cluster.put(SLICES, endpoint_slice("digits-b", endpoint(FIRST, "10.0.0.9")))

    assert ("10.0.0.10:8500", "10.0.0.9:8500") == parse_source(URI).addresses()


def test_a_pod_with_addresses_of_both_families_is_one_replica(api: KubernetesApi) -> None:
    """...at its IPv4 address. A pod that has no such address is asked at its IPv6 address."""
    both = [endpoint(FIRST, "fd00::9"), endpoint(SECOND, "fd00::10")]
    api.cluster.put(SLICES, endpoint_slice("digits-6", *both, family="IPv6"))
    assert {"10.0.0.9:8500", "10.0.0.10:8500"} == addresses()

    api.cluster.put(SLICES, endpoint_slice("digits-a", endpoint(SECOND, "10.0.0.10")))
    assert {"[fd00::9]:8500", "10.0.0.10:8500"} == addresses()


def test_the_pods_of_another_service_are_not_listed(api: KubernetesApi) -> None:
    api.cluster.put(PODS, pod("letters-0"))
    api.cluster.put(SLICES, endpoint_slice("letters-a", endpoint(pod("letters-0"), "10.0.0.11"), service="letters"))

    assert {"10.0.0.9:8500", "10.0.0.10:8500"} == addresses()
    assert {"10.0.0.11:8500"} == addresses("kubernetes://serving/letters:8500")


def test_a_port_by_its_name_is_that_of_each_slice(api: KubernetesApi) -> None:
    """Pods may have the port of one name under different numbers; then they are in different slices."""
    api.cluster.put(SLICES, endpoint_slice("digits-a", endpoint(FIRST, "10.0.0.9")))
    api.cluster.put(SLICES, endpoint_slice("digits-b", endpoint(SECOND, "10.0.0.10"), ports={"grpc": 9000}))

    assert {"10.0.0.9:8500", "10.0.0.10:9000"} == addresses("kubernetes://serving/digits:grpc")


@pytest.mark.usefixtures("api")
def test_a_name_that_no_port_has_is_refused_with_those_there_are() -> None:
    with refused("the Service has no port named predict. Its ports are named grpc, rest. Name one of them"):
        addresses("kubernetes://serving/digits:predict")


def test_ports_without_names_are_used_by_number(api: KubernetesApi) -> None:
    api.cluster.put(SLICES, endpoint_slice("digits-a", endpoint(FIRST, "10.0.0.9"), ports={"": 8500}))

    assert {"10.0.0.9:8500"} == addresses()
    with refused("the Service has no port named grpc. None of its ports has a name"):
        addresses("kubernetes://serving/digits:grpc")


def test_long_lists_come_page_by_page(api: KubernetesApi) -> None:
    api.largest_page = 1
    api.cluster.put(SLICES, endpoint_slice("digits-b", endpoint(FIRST, "10.0.0.9")))

    assert {"10.0.0.9:8500", "10.0.0.10:8500"} == addresses()
    assert 4 == len(api.asked)


def test_every_call_asks_anew(api: KubernetesApi) -> None:
    source = parse_source(URI)
    source.addresses()
    api.cluster.remove(PODS, "digits-1")

    assert ("10.0.0.9:8500",) == source.addresses()


@pytest.mark.parametrize("port", ["8500", "grpc"])
def test_a_service_without_pods_has_no_replicas_and_says_what_to_check(api: KubernetesApi, port: str) -> None:
    """F31: no addresses are no replicas, and never a pass. Kubernetes keeps one empty slice for such a Service."""
    api.cluster.put(SLICES, endpoint_slice("digits-a", ports={}))
    fleet = parse_fleet(f"kubernetes://serving/digits:{port}", expected=2)

    assert (
        f"only 0 of 2 replicas are listed by kubernetes://serving/digits:{port}. See `kubectl --namespace serving get "
        "pods,endpointslices`, and check that the selector of the Service digits matches the pods"
    ) == fleet.shortfall(fleet.fresh_addresses())


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("text", ["kubernetes://serving/letters:8500", "kubernetes://other/digits:8500"])
def test_a_service_that_does_not_exist(text: str) -> None:
    with refused("there is no Service "):
        addresses(text)


@pytest.mark.parametrize("resource", [SLICES, PODS])
def test_a_missing_right_is_named(api: KubernetesApi, resource: str) -> None:
    api.rights = {TOKEN: {("list", each) for each in (SLICES, PODS) if each != resource}}

    with refused(f"may not list {resource} in this namespace. It needs a Role, bound to it, with `get` and `list` on"):
        addresses()


def test_a_wrong_token_is_named_and_not_shown(api: KubernetesApi) -> None:
    """F68: no secret comes into a message."""
    api.rights = {}

    with refused("answered 401. The token or the certificate of the context test of ") as refusal:
        addresses()
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (404, "The API has no discovery.k8s.io/v1, which Kubernetes has since 1.21"),
        (410, "The list took too long"),
        (429, "The API server is overloaded"),
        (500, "The API server is overloaded, or is being restarted"),
        (503, "The API server is overloaded, or is being restarted"),
        (302, "Check the context test of "),
    ],
)
def test_an_api_that_refuses(api: KubernetesApi, status: int, advice: str) -> None:
    api.answer = (status, b"")

    with refused(f"answered {status}. {advice}"):
        addresses()


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"items": [], "metadata": null}', b'{"items": 5}'])
def test_something_else_that_answers_there(api: KubernetesApi, content: bytes) -> None:
    api.answer = (200, content)

    with refused("did not answer as a Kubernetes API does. Check the context test of "):
        addresses()


@pytest.mark.parametrize("item", [5, {"addressType": "IPv4", "endpoints": [{"targetRef": {"kind": "Pod"}}]}])
def test_objects_of_another_form(api: KubernetesApi, item: object) -> None:
    api.answer = (200, json.dumps({"metadata": {}, "items": [item]}).encode())

    with refused("the answer has no EndpointSlices and pods as expected"):
        addresses()


@pytest.mark.parametrize("text", [URI, "kubernetes://serving/digits:grpc", "kubernetes://a/b:1"])
def test_the_address_of_a_source_is_read_as_it_is_written(text: str) -> None:
    assert text == parse_source(text).uri


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not the name of a namespace"),
        ("digits:8500", "'' is not the name of a Service"),
        ("/digits:8500", "'' is not the name of a namespace"),
        ("Serving/digits:8500", "'Serving' is not the name of a namespace"),
        ("serving/:8500", "'' is not the name of a Service"),
        ("serving/a/b:8500", "'a/b' is not the name of a Service"),
        ("serving/digits:", "'' is not the number or the name of a port"),
        ("serving/digits:0", "'0' is not the number or the name of a port"),
        ("serving/digits:65536", "'65536' is not the number or the name of a port"),
        ("serving/digits:gRPC", "'gRPC' is not the number or the name of a port"),
    ],
)
def test_a_malformed_address_is_refused(text: str, problem: str) -> None:
    whole = f"kubernetes://{text}: {problem}; expected kubernetes://namespace/service:port"
    with pytest.raises(ValueError, match=re.escape(whole)):
        parse_source(f"kubernetes://{text}")
