"""The objects that the double makes are those of Kubernetes."""

import kubernetes_validate  # type: ignore[import-untyped]

from tests.kubernetes.objects import config_map, endpoint, endpoint_slice, pod, secret, service_account


def test_its_objects_are_valid() -> None:
    """...for the schemas of Kubernetes."""
    one = pod("digits-0", restarts=1, ready=False)
    for version, kind, made in (
        ("v1", "Pod", one),
        ("discovery.k8s.io/v1", "EndpointSlice", endpoint_slice("digits-a", endpoint(one, "10.0.0.9"))),
        ("v1", "Secret", secret("minio", password="x")),
        ("v1", "ConfigMap", config_map("settings", mode="x")),
        ("v1", "ServiceAccount", service_account("pipeline")),
    ):
        kubernetes_validate.validate({"apiVersion": version, "kind": kind, **made}, "1.37", strict=True)
