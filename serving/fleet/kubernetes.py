"""`kubernetes://namespace/service:port`: the pods behind a Service, from the API of Kubernetes.

The EndpointSlices of the Service say which pods it has, and where. The pods say which of them are about to end, and how
many times each was restarted. Where the API is and who asks is in `serving.fleet.kubernetes_access`.

Source of the format: the API reference of `discovery.k8s.io/v1` and `v1`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.errors import DiscoveryError
from serving.fleet.kubernetes_access import access
from serving.fleet.kubernetes_api import KubernetesApi
from serving.fleet.pod import PodReplica

SCHEME = "kubernetes"

_FORM = "expected kubernetes://namespace/service:port"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENDED = frozenset({"Succeeded", "Failed"})
# The first one that a pod has is used. Slices of other types have no pods.
_FAMILIES = ("IPv4", "IPv6")

_Json = Mapping[str, Any]


@dataclass(frozen=True)
class KubernetesSource:
    """The pods behind a Service; see `serving.fleet.source.SourceOfPods`.

    Attributes:
        namespace: the namespace of the Service.
        service: the name of the Service.
        port: the port of the pods, by number, or by its name in the Service.
    """

    namespace: str
    service: str
    port: int | str

    @property
    def uri(self) -> str:
        return f"{SCHEME}://{self.namespace}/{self.service}:{self.port}"

    @property
    def size(self) -> int | None:
        return None

    def addresses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(replica.address for replica in self.replicas()))

    def replicas(self) -> tuple[PodReplica, ...]:
        """The pods that exist now and are not about to end, ready or not, each once; ordered by their addresses.

        A pod that was replaced has another UID, a server that was started again in its pod a higher restart count.

        Raises:
            DiscoveryError: the API gave no answer, or there is no such Service or port.
        """
        with KubernetesApi(self.uri, access(self.uri)) as api:
            # In this order: a pod that appears in between is in neither list, and a pod that ends is only in the first.
            slices = api.endpoint_slices(self.namespace, self.service)
            pods = api.pods(self.namespace)
        try:
            return self._joined(slices, pods)
        except (KeyError, TypeError, AttributeError) as error:
            raise DiscoveryError(f"{self.uri}: the answer has no EndpointSlices and pods as expected") from error

    def too_few(self, found: int) -> str:
        more = "Start the replicas that are missing. " if found else ""
        return (
            f"{more}See `kubectl --namespace {self.namespace} get pods,endpointslices`, and check that the selector of "
            f"the Service {self.service} matches the pods"
        )

    def _joined(self, slices: Sequence[_Json], pods: Sequence[_Json]) -> tuple[PodReplica, ...]:
        self._require_service(slices)
        self._require_port(slices)
        present = {pod["metadata"]["uid"]: pod for pod in pods if _is_present(pod)}
        found: dict[str, PodReplica] = {}
        for family in _FAMILIES:
            for uid, host, port in sorted(self._endpoints(slices, family)):
                # A pod may be in several slices, of two families, or while it moves to another slice.
                if uid in present:
                    found.setdefault(uid, _replica(present[uid], host, port))
        return tuple(sorted(found.values()))

    def _require_service(self, slices: Sequence[_Json]) -> None:
        """Kubernetes keeps one slice without endpoints for a Service that has a selector and no pods."""
        if not slices:
            raise DiscoveryError(
                f"{self.uri}: there is no Service {self.service} with a selector in the namespace {self.namespace}. "
                f"See `kubectl --namespace {self.namespace} get services`"
            )

    def _require_port(self, slices: Sequence[_Json]) -> None:
        used = [each for each in slices if each.get("endpoints")]
        if used and all(self._port(each) is None for each in used):
            names = sorted({port.get("name") or "" for each in used for port in each.get("ports") or ()} - {""})
            known = f"Its ports are named {', '.join(names)}" if names else "None of its ports has a name"
            raise DiscoveryError(
                f"{self.uri}: the Service has no port named {self.port}. {known}. Name one of them, or give the number "
                "of the pods' port"
            )

    def _endpoints(self, slices: Sequence[_Json], family: str) -> Iterator[tuple[str, str, int]]:
        """UID, address and port of each endpoint that is a pod and is not about to end."""
        for each in slices:
            port = self._port(each)
            if each.get("addressType") != family or port is None:
                continue
            for endpoint in each.get("endpoints") or ():
                target = endpoint.get("targetRef") or {}
                ending = (endpoint.get("conditions") or {}).get("terminating")
                if target.get("kind") == "Pod" and not ending:
                    # Further addresses of an endpoint are the same pod.
                    yield target["uid"], endpoint["addresses"][0], port

    def _port(self, endpoint_slice: _Json) -> int | None:
        """The port of the pods of a slice; None if it has no port of that name."""
        if isinstance(self.port, int):
            return self.port
        named = (port for port in endpoint_slice.get("ports") or () if port.get("name") == self.port)
        return next((int(port["port"]) for port in named), None)


def parse_kubernetes(text: str) -> KubernetesSource:
    """A source from `namespace/service:port`.

    Raises:
        ValueError: the text is malformed; says what is expected.
    """
    target, _, port = text.rpartition(":")
    namespace, _, service = target.partition("/")
    if not _LABEL.fullmatch(namespace):
        raise ValueError(f"{SCHEME}://{text}: {namespace!r} is not the name of a namespace; {_FORM}")
    if not _LABEL.fullmatch(service):
        raise ValueError(f"{SCHEME}://{text}: {service!r} is not the name of a Service; {_FORM}")
    return KubernetesSource(namespace, service, _parse_port(port, text))


def _parse_port(port: str, text: str) -> int | str:
    if re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535:
        return int(port)
    if not _LABEL.fullmatch(port) or not re.search("[a-z]", port):
        raise ValueError(f"{SCHEME}://{text}: {port!r} is not the number or the name of a port; {_FORM}")
    return port


def _is_present(pod: _Json) -> bool:
    ending = pod["metadata"].get("deletionTimestamp")
    return not ending and (pod.get("status") or {}).get("phase") not in _ENDED


def _replica(pod: _Json, host: str, port: int) -> PodReplica:
    metadata, status = pod["metadata"], pod.get("status") or {}
    servers = _servers(pod, port)
    return PodReplica(
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        restarts=sum(each["restartCount"] for each in servers),
        ready=any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ()),
        last_end=", ".join(filter(None, map(_last_end, servers))),
    )


def _last_end(container: _Json) -> str:
    last = (container.get("lastState") or {}).get("terminated") or {}
    return str(last.get("reason") or "")


def _servers(pod: _Json, port: int) -> Sequence[_Json]:
    """The states of the containers that declare the port; of all if none does."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    servers = {
        each["name"] for each in containers if port in [open_["containerPort"] for open_ in each.get("ports") or ()]
    }
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return [each for each in statuses if not servers or each["name"] in servers]
