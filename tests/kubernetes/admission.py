"""What the API checks and adds when a pod is created."""

import copy
import re
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.resources import SERVICE_ACCOUNTS
from tests.kubernetes.statuses import ApiError

SCHEMA_VERSION = "1.37"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME = re.compile(_LABEL)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*|[ -<>-~]+")
_SUFFIX = "".join(set(string.ascii_lowercase + string.digits) - set("aeiou013"))


def admitted(cluster: Cluster, namespace: str, manifest: Any) -> dict[str, Any]:
    """The pod with a name and with defaults, ready to be stored.

    Raises:
        ApiError: 400, it is no pod; 403, its service account does not exist; 404, nor does the namespace; 422, it is
            invalid; 501, this double cannot run it.
    """
    _require_pod(manifest, namespace)
    if namespace not in cluster.namespaces:
        raise ApiError(404, f'namespaces "{namespace}" not found')
    pod = _with_defaults(manifest, namespace)
    name = pod["metadata"].get("name", "")
    if problems := list(_problems(pod)):
        raise ApiError(422, f'Pod "{name}" is invalid: {"; ".join(problems)}')
    _require_schema(manifest)
    account = pod["spec"]["serviceAccountName"]
    if account != "default" and cluster.get(SERVICE_ACCOUNTS, namespace, account) is None:
        looked = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise ApiError(403, f'pods "{name}" is forbidden: {looked}')
    _require_runnable(pod["spec"])
    return pod


def _require_pod(manifest: Any, namespace: str) -> None:
    if not isinstance(manifest, Mapping) or manifest.get("kind", "Pod") != "Pod":
        raise ApiError(400, "the object provided is unrecognized (must be of type Pod)")
    if (manifest.get("metadata") or {}).get("namespace", namespace) != namespace:
        raise ApiError(400, "the namespace of the provided object does not match the namespace sent on the request")


def _with_defaults(manifest: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    given = copy.deepcopy(dict(manifest))
    metadata = {**(given.get("metadata") or {}), "namespace": namespace}
    if not metadata.get("name") and (prefix := metadata.get("generateName")):
        metadata["name"] = prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "securityContext": {},
        **(given.get("spec") or {}),
    }
    spec["containers"] = [_container_with_defaults(each) for each in spec.get("containers") or ()]
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def _container_with_defaults(container: Mapping[str, Any]) -> dict[str, Any]:
    tag = container.get("image", "").rpartition("/")[2].partition(":")[2]
    return {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if tag in ("", "latest") else "IfNotPresent",
        "resources": {},
        **container,
    }


def _problems(pod: Mapping[str, Any]) -> Iterator[str]:
    yield from _metadata_problems(pod["metadata"])
    yield from _spec_problems(pod["spec"])


def _metadata_problems(metadata: Mapping[str, Any]) -> Iterator[str]:
    name = metadata.get("name", "")
    if not name:
        yield "metadata.name: Required value: name or generateName is required"
    elif not _SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case ...'
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value) or len(value) > 63:
            yield f'metadata.labels: Invalid value: "{value}": a valid label of {key} has at most 63 characters ...'


def _spec_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec["restartPolicy"] not in ("Always", "OnFailure", "Never"):
        yield f'spec.restartPolicy: Unsupported value: "{spec["restartPolicy"]}"'
    if not spec["containers"]:
        yield "spec.containers: Required value"
    volumes = {each.get("name") for each in spec.get("volumes") or ()}
    for number, container in enumerate(spec["containers"]):
        for problem in _container_problems(container, volumes):
            yield f"spec.containers[{number}].{problem}"
    names = [each.get("name") for each in spec["containers"]]
    yield from (f'spec.containers: Duplicate value: "{each}"' for each in set(names) if names.count(each) > 1)


def _container_problems(container: Mapping[str, Any], volumes: Iterable[object]) -> Iterator[str]:
    name = container.get("name", "")
    if not name:
        yield "name: Required value"
    elif not _NAME.fullmatch(name) or len(name) > 63:
        yield f'name: Invalid value: "{name}": a lowercase RFC 1123 label must consist of lower case ...'
    if not container.get("image"):
        yield "image: Required value"
    yield from _variable_problems(container)
    for number, each in enumerate(container.get("volumeMounts") or ()):
        if each.get("name") not in volumes:
            yield f'volumeMounts[{number}].name: Not found: "{each.get("name")}"'


def _variable_problems(container: Mapping[str, Any]) -> Iterator[str]:
    for number, each in enumerate(container.get("env") or ()):
        if not each.get("name"):
            yield f"env[{number}].name: Required value"
        elif not _VARIABLE.fullmatch(each["name"]):
            yield f'env[{number}].name: Invalid value: "{each["name"]}"'
        if each.get("value") and each.get("valueFrom"):
            yield f"env[{number}].valueFrom: Invalid value: may not be specified when `value` is not empty"


def _require_schema(manifest: Mapping[str, Any]) -> None:
    """Kubernetes drops unknown fields unless it is asked to be strict; here they are always an error."""
    whole = {"apiVersion": "v1", "kind": "Pod", **manifest}
    try:
        kubernetes_validate.validate(whole, SCHEMA_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(each) for each in error.path)
        raise ApiError(400, f"Pod in version v1 cannot be handled as a Pod: {where}: {error.message}") from error


def _require_runnable(spec: Mapping[str, Any]) -> None:
    if spec["restartPolicy"] != "Never" or len(spec["containers"]) > 1 or spec.get("initContainers"):
        raise ApiError(501, "This double runs only pods of one container with restartPolicy Never.")
