"""What the API does with a pod."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.kubernetes import moments
from tests.kubernetes.admission import admitted
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.container_log import ContainerLog, parse_log_query
from tests.kubernetes.patches import patched
from tests.kubernetes.resources import PODS, Request
from tests.kubernetes.statuses import ApiError, not_found

TERMINAL = ("Succeeded", "Failed")
_PULL_PROBLEMS = ("ErrImagePull", "ImagePullBackOff")
_CHANGEABLE = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")


def create_pod(cluster: Cluster, request: Request, manifest: Any) -> dict[str, Any]:
    """Store a new pod.

    Raises:
        ApiError: it is not admitted, or there is one of its name.
    """
    return cluster.create(PODS, admitted(cluster, request.namespace, manifest))


def delete_pod(cluster: Cluster, request: Request, options: Mapping[str, Any]) -> dict[str, Any]:
    """Delete at once a pod that does not run; mark another one, so that its kubelet ends it.

    Raises:
        ApiError: 404; 409, it is not the pod that the precondition names.
    """
    with cluster.changed:
        pod = _existing(cluster, request)
        _require_preconditions(pod, options.get("preconditions") or {})
        grace = _grace_seconds(pod, request, options)
        if grace == 0:
            removed = cluster.remove(PODS, request.name, namespace=request.namespace)
            assert removed is not None
            return removed
        if grace < pod["metadata"].get("deletionGracePeriodSeconds", grace + 1):
            marks = {"deletionTimestamp": moments.from_now(grace), "deletionGracePeriodSeconds": grace}
            return _updated(cluster, request, lambda found: found["metadata"].update(marks))
        return pod


def patch_pod(cluster: Cluster, request: Request, form: str, patch: Any) -> dict[str, Any]:
    """Change metadata, and the few fields of a spec that may change.

    Raises:
        ApiError: 404; 409, the patch is for another version; 415, 400 or 422, the patch is wrong.
    """
    with cluster.changed:
        before = _existing(cluster, request)
        after = patched(form, before, patch)
        for name, code in (("resourceVersion", 409), ("uid", 409), ("name", 422), ("namespace", 422)):
            if after["metadata"].get(name) != before["metadata"][name]:
                raise ApiError(code, f'Operation cannot be fulfilled on pods "{request.name}": metadata.{name} differs')
        if _fixed(after["spec"]) != _fixed(before["spec"]):
            fields = "`spec.containers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations`"
            problem = f"spec: Forbidden: pod updates may not change fields other than {fields}"
            raise ApiError(422, f'Pod "{request.name}" is invalid: {problem}')
        changes = {"metadata": after["metadata"], "spec": after["spec"]}
        return _updated(cluster, request, lambda found: found.update(changes))


def read_log(
    cluster: Cluster,
    request: Request,
    find_log: Callable[[Mapping[str, Any]], ContainerLog | None],
    stopped: threading.Event,
) -> Iterator[bytes] | None:
    """The lines of a log; None for a pod without a node. `find_log` gives None before a container starts.

    Raises:
        ApiError: 404; 400, the pod has no such container, or it waits to start.
    """
    pod = _existing(cluster, request)
    query = parse_log_query(request.query)
    name = _container_name(pod, request)
    if "nodeName" not in pod["spec"]:
        return None
    log = find_log(pod)
    if log is None:
        reason = _waiting_reason(pod)
        is_unpullable = (
            "trying and failing to pull image" if reason in _PULL_PROBLEMS else f"waiting to start: {reason}"
        )
        raise ApiError(400, f'container "{name}" in pod "{request.name}" is {is_unpullable}')
    return log.read(query, stopped)


def _existing(cluster: Cluster, request: Request) -> dict[str, Any]:
    found = cluster.get(PODS, request.namespace, request.name)
    if found is None:
        raise not_found(PODS, request.name)
    return found


def _updated(cluster: Cluster, request: Request, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    found = cluster.update(PODS, request.namespace, request.name, change)
    assert found is not None
    return found


def _require_preconditions(pod: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
    for name in ("uid", "resourceVersion"):
        wanted, found = conditions.get(name), pod["metadata"][name]
        if wanted not in (None, found):
            raise ApiError(
                409,
                f'Operation cannot be fulfilled on Pod "{pod["metadata"]["name"]}": the {name} in the precondition '
                f"({wanted}) does not match the {name} in record ({found})",
            )


def _grace_seconds(pod: Mapping[str, Any], request: Request, options: Mapping[str, Any]) -> int:
    if "nodeName" not in pod["spec"] or pod["status"]["phase"] in TERMINAL:
        return 0
    wanted: Any = request.query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
    return int(pod["spec"]["terminationGracePeriodSeconds"] if wanted is None else wanted)


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    containers = [{key: value for key, value in each.items() if key != "image"} for each in spec["containers"]]
    return {**{key: value for key, value in spec.items() if key not in _CHANGEABLE}, "containers": containers}


def _container_name(pod: Mapping[str, Any], request: Request) -> str:
    name = request.query.get("container") or pod["spec"]["containers"][0]["name"]
    if name not in [each["name"] for each in pod["spec"]["containers"]]:
        raise ApiError(400, f"container {name} is not valid for pod {request.name}")
    return str(name)


def _waiting_reason(pod: Mapping[str, Any]) -> str:
    for each in pod["status"].get("containerStatuses") or ():
        return str(each["state"].get("waiting", {}).get("reason", "ContainerCreating"))
    return "ContainerCreating"
