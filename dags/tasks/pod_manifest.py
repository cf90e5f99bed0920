"""The manifest of a step's pod: what the file of pods says, and what holds for every step."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient

from dags.tasks.pod_settings import PodFields
from pipeline.errors import BadInputError

# The user of the images.
_USER = 50000
# The root of the container is read-only. Who needs more than the disk of the node mounts something else there.
_TEMPORARY = {"name": "understudy-temporary", "emptyDir": {}}
_MOUNT = {"name": "understudy-temporary", "mountPath": "/tmp"}  # noqa: S108 - in the pod
# Those of the chart: its policies match them. `understudy/verb` is for people: kubectl get pods --label-columns.
_LABELS = {"app.kubernetes.io/name": "understudy", "app.kubernetes.io/component": "pipeline"}
# A pod that ends in this time after SIGTERM; a verb ends at once.
_GRACE_SECONDS = 30

_Json = dict[str, Any]


def manifest(fields: PodFields, *, verb: str, deployment: Mapping[str, str] | None = None) -> _Json:
    """The pod of a verb without its command and the variables of its run; as in a file for `kubectl apply`.

    Args:
        fields: what the file says of this verb.
        verb: what is run.
        deployment: variables that Airflow's own environment has, and that count here too.

    Raises:
        BadInputError: names each field that no Pod has. Kubernetes' client would leave it out without a word.
    """
    said = fields.model_dump(by_alias=True, exclude_none=True)
    mounts, volumes = said.get("volumeMounts", []), said.get("volumes", [])
    if not any(mount.get("mountPath") == _MOUNT["mountPath"] for mount in mounts):
        mounts, volumes = [_MOUNT, *mounts], [_TEMPORARY, *volumes]
    taken = [{"name": name, "value": literal(value)} for name, value in (deployment or {}).items()]
    container: _Json = {
        "name": verb,
        **{name: said[name] for name in ("image", "imagePullPolicy", "envFrom", "resources") if name in said},
        "env": [*taken, *said.get("env", ())],
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    of_pod = ("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName")
    pod: _Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **({"namespace": said["namespace"]} if "namespace" in said else {}),
            "labels": {**said.get("labels", {}), **_LABELS, "understudy/verb": verb},
            "annotations": said.get("annotations", {}),
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            # Only who asks the API for replicas, `kubernetes://`, needs the token of its account.
            "automountServiceAccountToken": said.get("automountServiceAccountToken", False),
            # Variables of Services whose names begin with `understudy` would look like settings.
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": 0,
                "fsGroup": 0,
                # Volumes may be large, and their files belong to this group already.
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            **{name: said[name] for name in of_pod if name in said},
            "volumes": volumes,
            "containers": [container],
        },
    }
    _require_known(pod)
    return pod


def literal(value: str) -> str:
    """The value of a variable as Kubernetes takes it: `$(NAME)` in it would become the value of another variable."""
    return value.replace("$", "$$")


def _require_known(pod: _Json) -> None:
    try:
        known = ApiClient().sanitize_for_serialization(PodGenerator.deserialize_model_dict(pod))
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInputError(f"UNDERSTUDY_PODS: a field does not have the form that it has in a Pod: {error}") from error
    unknown = sorted(path.removeprefix(".") for path in _paths(pod) - _paths(known))
    if unknown:
        raise BadInputError(f"UNDERSTUDY_PODS: a Pod has no field {', '.join(unknown)}. Check the spelling")


def _paths(value: Any, path: str = "") -> set[str]:
    """Where there is a value; an empty object or list is one."""
    if value in ({}, []):
        return {path}
    if isinstance(value, Mapping):
        return {found for key, each in value.items() for found in _paths(each, f"{path}.{key}")}
    if isinstance(value, list):
        return {found for n, each in enumerate(value) for found in _paths(each, f"{path}[{n}]")}
    return set() if value is None else {path}
