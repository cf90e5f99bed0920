"""Makes objects as Kubernetes has them."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.kubernetes.cluster import Cluster, Json
from tests.kubernetes.resources import PODS, SLICES


def pod(name: str, *, uid: str = "", restarts: int = 0, ready: bool = True, ending: bool = False) -> dict[str, Any]:
    """A pod with one container, `server`, and the fields that Kubernetes gives for one that runs."""
    ends = {"deletionTimestamp": "2026-11-29T08:00:30Z", "deletionGracePeriodSeconds": 30} if ending else {}
    container = {"name": "server", "image": "serving", "ports": [{"name": "grpc", "containerPort": 8500}]}
    status = {"name": "server", "image": "serving", "imageID": "serving", "ready": ready, "restartCount": restarts}
    return {
        "metadata": {"name": name, "uid": uid or f"uid-of-{name}", "labels": {"app": "digits"}, **ends},
        "spec": {"containers": [container]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [status],
        },
    }


def endpoint(of: Json, *addresses: str, terminating: bool = False) -> dict[str, Any]:
    """The endpoint of a pod. The Service publishes what is not ready, so `ready` is true for every endpoint."""
    metadata = of["metadata"]
    return {
        "addresses": list(addresses),
        "conditions": {"ready": True, "serving": not terminating, "terminating": terminating},
        "targetRef": {"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"], "namespace": "serving"},
    }


def endpoint_slice(
    name: str, *endpoints: Json, service: str = "digits", family: str = "IPv4", ports: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """A slice of a Service; its ports are by default those of a model server."""
    named = {"grpc": 8500, "rest": 8501} if ports is None else ports
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": family,
        # Kubernetes leaves empty lists out of some objects, and gives null for them in others.
        "endpoints": list(endpoints) or None,
        "ports": [{"name": key, "port": port, "protocol": "TCP"} for key, port in named.items()],
    }


def secret(name: str, **values: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": name}, "type": "Opaque", "data": data}


def config_map(name: str, **values: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": values}


def service_account(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def serve(cluster: Cluster, entry: str) -> None:
    """Put a Service `name=address,address` into the namespace `serving`, with a pod for each address."""
    service, _, addresses = entry.partition("=")
    pods = {address: pod(f"{service}-{n}") for n, address in enumerate(filter(None, addresses.split(",")))}
    cluster.put(PODS, *pods.values())
    endpoints = [endpoint(each, address) for address, each in pods.items()]
    cluster.put(SLICES, endpoint_slice(f"{service}-abc12", *endpoints, service=service))
